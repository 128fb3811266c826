/*
 * What each key does to the screen of `nodens top`, as a function from state to state.
 */
import { topTabs, topSorts, type TopSort, type TopTab } from "../seen/top-choices.ts";

/** What the screen shows, and what is being typed. */
export interface TopState {
  readonly tab: TopTab;
  readonly filter: string;
  readonly sort: TopSort;
  /** The chosen line of clients, from 0. */
  readonly line: number;
  readonly isFrozen: boolean;
  /** What is being typed, and what for. */
  readonly prompt: { readonly use: "filter" | "explain"; readonly text: string } | undefined;
  /** What lies over the screen: the keys, or a name that is explained, from a line of it, counted from 0. */
  readonly over: "" | "help" | { readonly explain: string; readonly from: number };
  /** What the program has to do besides showing: end, write the record, filter by the client of the chosen line. */
  readonly wish: "" | "end" | "write" | "chooseClient";
}

/** The state at the start. */
export function firstTopState(tab: TopTab): TopState {
  return { tab, filter: "", sort: "queries", line: 0, isFrozen: false, prompt: undefined, over: "", wish: "" };
}

const ctrlC = "\u0003";
const escape = "\u001B";
const down = "\u001B[B";
const up = "\u001B[A";
const backspaces: ReadonlySet<string> = new Set(["\u007F", "\b"]);
const scrolls: ReadonlySet<string> = new Set([down, up, "j", "k"]);
const enters: ReadonlySet<string> = new Set(["\r", "\n"]);

/** The state after a key, which is "" if none was pressed. */
export function afterKey(before: TopState, key: string): TopState {
  const state: TopState = { ...before, wish: "" };
  if (key === ctrlC) return { ...state, wish: "end" };
  if (state.prompt !== undefined) return afterPromptKey(state, state.prompt, key);
  if (key === "") return state;
  if (typeof state.over === "object" && scrolls.has(key)) return { ...state, over: scrolled(state.over, key) };
  if (state.over !== "") return { ...state, over: "", wish: key === "q" ? "end" : "" };
  const tab = topTabs[Number(key) - 1];
  if (tab !== undefined) return { ...state, tab, line: 0, isFrozen: false };
  return actions[key]?.(state) ?? state;
}

type Action = (state: TopState) => TopState;

// What changes the order, the mark or the choice is asked for anew, so that the screen goes on.
const nextLine: Action = (state) => ({ ...state, line: state.line + 1, isFrozen: false });
const lineBefore: Action = (state) => ({ ...state, line: Math.max(0, state.line - 1), isFrozen: false });
const chooseClient: Action = (state) =>
  state.tab === "clients" ? { ...state, wish: "chooseClient", isFrozen: false } : state;

const actions: Readonly<Record<string, Action>> = {
  q: (state) => ({ ...state, wish: "end" }),
  " ": (state) => ({ ...state, isFrozen: !state.isFrozen }),
  "/": (state) => ({ ...state, prompt: { use: "filter", text: "" } }),
  e: (state) => ({ ...state, prompt: { use: "explain", text: "" } }),
  s: (state) => ({
    ...state,
    isFrozen: false,
    sort: topSorts[(topSorts.indexOf(state.sort) + 1) % topSorts.length] ?? "queries",
  }),
  w: (state) => ({ ...state, wish: "write" }),
  "?": (state) => ({ ...state, over: "help" }),
  [escape]: (state) => ({ ...state, filter: "", isFrozen: false }),
  [down]: nextLine,
  j: nextLine,
  [up]: lineBefore,
  k: lineBefore,
  "\r": chooseClient,
  "\n": chooseClient,
};

function afterPromptKey(state: TopState, prompt: NonNullable<TopState["prompt"]>, key: string): TopState {
  const { use, text } = prompt;
  if (key === escape) return { ...state, prompt: undefined };
  if (backspaces.has(key)) return { ...state, prompt: { use, text: text.slice(0, -1) } };
  if (!enters.has(key)) return { ...state, prompt: { use, text: text + printable(key) } };
  const done = { ...state, prompt: undefined, line: 0 };
  if (use === "filter") return { ...done, filter: text, isFrozen: false };
  return text === "" ? done : { ...done, over: { explain: text, from: 0 } };
}

function scrolled(over: { readonly explain: string; readonly from: number }, key: string) {
  return { ...over, from: key === down || key === "j" ? over.from + 1 : Math.max(0, over.from - 1) };
}

/** What a terminal sends for keys that are no letters begins with an escape. */
function printable(key: string): string {
  return key.startsWith(escape) ? "" : key.replaceAll(/[^\u0020-\u007E]/g, "");
}

/** The keys, as text. */
export const topHelp = [
  " 1-7    what the lower half shows",
  " /      filter by a part of a name, a client or a namespace",
  " Esc    ends the filter",
  " s      sort clients by queries, waits, waste, denials",
  " ↓ ↑    choose a client; Enter filters everything by it",
  " e      explain a name: what a pod goes through to look it up",
  " w      write the recorded queries into a file",
  " space  freezes the screen, until space or another choice",
  " q      ends",
  "",
  " any key goes back",
].join("\n");
