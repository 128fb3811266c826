/*
 * `nodens top`, `nodens tail` and `nodens advise`: what a running nodens has seen. It makes the text itself, so that these commands cost a container little memory.
 */
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TerminalScreen } from "../runtime/screen.ts";
import { topTabs } from "../seen/top-choices.ts";
import { wrapText } from "../seen/wrap-text.ts";
import { type AgainstFlag, getAdminPage, type PageOptions, printAdminPage } from "./admin-page.ts";
import { ExitCode } from "./exit-code.ts";
import { afterKey, firstTopState, topHelp, type TopState } from "./top-keys.ts";

/** The flags of `top`, as the command line has them. */
export interface TopFlags extends AgainstFlag {
  readonly once?: boolean | undefined;
  readonly json?: boolean | undefined;
  readonly tab?: string | undefined;
}

/** The flags of `advise`, as the command line has them. */
export interface AdviseFlags extends AgainstFlag {
  readonly json?: boolean | undefined;
}

/** The flags of `tail`, as the command line has them. */
export interface TailFlags extends AgainstFlag {
  readonly client?: string | undefined;
  readonly name?: string | undefined;
  readonly rcode?: string | undefined;
  readonly slower?: string | undefined;
  readonly limit?: string | undefined;
  readonly repeated?: boolean | undefined;
  readonly incident?: string | undefined;
  readonly json?: boolean | undefined;
}

const refreshMs = 1000;

/** Prints what is seen once, or goes on showing it on `screen` until q is pressed. Resolves with the exit code: 64, 69 as for `explain`. */
export async function top(flags: TopFlags, options: PageOptions, screen: TerminalScreen | undefined): Promise<number> {
  if (flags.json === true) return printAdminPage(flags, "/seen", options);
  if (flags.once === true || screen === undefined) {
    const parameters = new URLSearchParams({ rows: "60", ...(flags.tab === undefined ? {} : { tab: flags.tab }) });
    return printAdminPage(flags, `/top?${parameters.toString()}`, options);
  }
  try {
    return await watch(flags, screen, options);
  } finally {
    screen.end();
  }
}

/** Prints what would spare pods queries. */
export function advise({ json, against }: AdviseFlags, options: PageOptions): Promise<number> {
  return printAdminPage({ against }, json === true ? "/advise?json" : "/advise", options);
}

/** Prints the recorded queries that pass the filters. */
export function tail(flags: TailFlags, options: PageOptions): Promise<number> {
  const parameters = new URLSearchParams();
  for (const name of ["client", "name", "rcode", "slower", "limit", "incident"] as const) {
    const value = flags[name];
    if (value !== undefined) parameters.set(name, value);
  }
  if (flags.repeated === true) parameters.set("repeated", "");
  if (flags.json === true) parameters.set("json", "");
  return printAdminPage(flags, `/tail?${parameters.toString()}`, options);
}

/** What came last: the screen, and the explanation of a name. "" before anything has. */
interface Shown {
  readonly screen: string;
  readonly explained: string;
  readonly explainedName: string;
}

/** The screen, refreshed each second, until q ends it, or there was no answer from the start. */
async function watch(flags: TopFlags, screen: TerminalScreen, { writeError }: PageOptions): Promise<number> {
  let state = firstTopState(topTabs.find((name) => name === flags.tab) ?? topTabs[0]);
  let shown: Shown = { screen: "", explained: "", explainedName: "" };
  let note = "";
  let silence = "";
  for (;;) {
    if (isToBeAsked(state, shown)) {
      const got = await getAdminPage(flags.against, `/top?${parametersOf(state, screen).toString()}`);
      const isLost = !("body" in got);
      // A nodens that is restarted, or stands still, is back soon. One that refuses what is asked is not.
      if (isLost && (shown.screen === "" || got.exitCode !== ExitCode.unavailable)) {
        writeError(`nodens: ${got.failure}\n`);
        return got.exitCode;
      }
      silence = isLost ? `NO ANSWER: ${got.failure}` : "";
      if (!isLost) shown = withAnswer(shown, state, got.body);
    }
    state = withinBounds(state, shown, screen);
    const lines = overText(state, shown, screen).slice(0, screen.rows() - 2);
    screen.show(screen.paint(`${lines.join("\n")}\n${lastLine(state, note || silence)}`));
    const key = await screen.key(refreshMs);
    if (key !== "") note = "";
    state = afterKey(state, key);
    if (state.wish === "end") return ExitCode.ok;
    if (state.wish === "write") note = await writeRecord(flags);
    if (state.wish === "chooseClient") state = { ...state, filter: markedClient(shown.screen), line: 0 };
  }
}

/** Nothing moves while it is frozen, while something is typed, and below the help; but what was not asked yet is. */
function isToBeAsked({ isFrozen, prompt, over }: TopState, { screen, explainedName }: Shown): boolean {
  if (typeof over === "object" && over.explain !== explainedName) return true;
  return screen === "" || !(isFrozen || prompt !== undefined || over === "help");
}

function withAnswer(shown: Shown, { over }: TopState, text: string): Shown {
  return typeof over === "object"
    ? { ...shown, explained: text, explainedName: over.explain }
    : { ...shown, screen: text };
}

function parametersOf({ tab, filter, sort, line, over }: TopState, screen: TerminalScreen): URLSearchParams {
  if (typeof over === "object") return new URLSearchParams({ explain: over.explain });
  const [rows, columns] = [Math.max(1, screen.rows() - 2), Math.max(1, screen.columns())].map(String) as [
    string,
    string,
  ];
  return new URLSearchParams({ tab, rows, columns, filter, sort, line: String(line) });
}

/** The lines that are shown: those of the screen, or of what lies over it. */
function overText({ over }: TopState, shown: Shown, screen: TerminalScreen): string[] {
  if (over === "help") return topHelp.split("\n");
  return over === "" ? linesOf(shown.screen) : explainedLines(shown, screen).slice(over.from);
}

function linesOf(text: string): string[] {
  return text.trimEnd().split("\n");
}

function explainedLines({ explained }: Shown, screen: TerminalScreen): string[] {
  return linesOf(explained).flatMap((line) => wrapText(line, screen.columns()));
}

/** The state with what was counted beyond the end set to the end: the chosen client, which the screen tells, or the first line of an explanation. */
function withinBounds(state: TopState, shown: Shown, screen: TerminalScreen): TopState {
  const { over } = state;
  if (typeof over === "object") {
    const last = Math.max(0, explainedLines(shown, screen).length - (screen.rows() - 2));
    return { ...state, over: { ...over, from: Math.min(over.from, last) } };
  }
  const chosen = /^ \* .* · client (\d+) of \d+$/m.exec(shown.screen)?.[1];
  return chosen === undefined ? state : { ...state, line: Number(chosen) - 1 };
}

function lastLine({ prompt, isFrozen, sort, over }: TopState, note: string): string {
  if (prompt !== undefined) return ` ${prompt.use}: ${prompt.text}_\n`;
  if (note !== "") return ` ${note}\n`;
  if (typeof over === "object") return " ↓ ↑ scroll · any other key goes back\n";
  return ` ${isFrozen ? "FROZEN · " : ""}by ${sort} · / filter · s sort · e explain · w write · ? help · q end\n`;
}

/** The client of the line that is marked; "" if none is. */
function markedClient(screenText: string): string {
  return /^›(\S+)/m.exec(screenText)?.[1] ?? "";
}

/** Writes the recorded queries into a file that nobody else reads, and returns what to say of it. A container may have no place for one. */
async function writeRecord({ against }: TopFlags): Promise<string> {
  const got = await getAdminPage(against, "/tail?json&limit=10000");
  if (!("body" in got)) return got.failure;
  try {
    const path = join(mkdtempSync(join(tmpdir(), "nodens-record-")), "queries.json");
    writeFileSync(path, got.body, { mode: 0o600 });
    return `written: ${path}`;
  } catch (error) {
    const { code = String(error) } = error as NodeJS.ErrnoException;
    return `not written (${code}); from outside: nodens tail --json >FILE`;
  }
}
