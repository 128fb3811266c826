/*
 * Keeps the table of nodens's own addresses (own-address-table.ts) as it should be, whoever changes or removes it, and reads from it what
 * the kernel has counted and noted there.
 */
import type { Netfilter } from "../runtime/netfilter.ts";
import { askBlockedPods, type BlockedPods, noBlockedPods, readBlockedPods } from "./blocked-pods.ts";
import {
  familiesOf,
  ownAddressCounters,
  ownAddressTable,
  type OwnAddressTableOptions,
  ownAddressTableText,
} from "./own-address-table.ts";
import { notStarted, type RunProgram } from "./run-program.ts";
import { problemOfProgram, type SetupProblem } from "./setup-problem.ts";

/** What a look found. */
interface Verified {
  readonly wasChanged: boolean;
  readonly problem: SetupProblem | undefined;
}

/** Keeps the table as it should be. */
export interface OwnAddressTable {
  /**
   * Puts the table in place if it is not as it was left. `wasChanged` says that somebody had changed or removed it, and it is back. The
   * table of another nodens that started later, with other settings or of another release, stays: the latest one decides.
   */
  verify(): Promise<Verified>;
  /**
   * The same, at next to no cost: nft runs only where the kernel says that some rule of the node has changed since the last look, or does
   * not say. It looks at blocked pods too, and not at what was tracked.
   */
  glance(): Promise<Verified>;
  /** How many packets to us were tracked at the last look, since the last call; 0 where nothing counts them. */
  countTracked(): number;
  /** The pods that were blocked at the last look. */
  blockedPods(): BlockedPods;
}

/** Keeps the table as `wanted` says at each look; undefined makes sure that there is none. */
export function keepOwnAddressTable(
  wanted: () => OwnAddressTableOptions | undefined,
  run: RunProgram,
  netfilter: Netfilter,
): OwnAddressTable {
  // What was put, and the table as nft prints it: comparing with that is the only sure way to see a change. "" means no table.
  let put: { readonly text: string; readonly listed: string } | undefined;
  /** What the kernel had counted and noted in the table at the last look, and how much of it was told. */
  let seen = { tracked: 0, blocked: noBlockedPods };
  let told = 0;
  /** The generation of the node's rules in which the table was as it should be. */
  let goodGeneration: number | undefined;

  /** The table as it is, without what packets change in it. */
  async function listing(): Promise<string> {
    const { code, stdout } = await run("nft", ["list", "table", "inet", ownAddressTable]);
    if (code !== 0) return "";
    seen = { tracked: packetsIn(ownAddressCounters.tracked, stdout), blocked: readBlockedPods(stdout) };
    return withoutState(stdout);
  }

  async function putText(text: string): Promise<SetupProblem | undefined> {
    const result = await run("nft", ["-f", "-"], `${removalText}${text}`);
    // Without nft there is nothing to remove either.
    const isDone = result.code === 0 || (text === "" && result.code === notStarted);
    if (!isDone)
      return problemOfProgram("nft", "nft", `${text === "" ? "remove" : "add"} the table ${ownAddressTable}`, result);
    const listed = await listing();
    // Gone again already: nothing to compare with, so the next look puts it anew.
    put = listed === "" && text !== "" ? undefined : { text, listed };
    told = 0;
    return undefined;
  }

  /** Whether there is nothing to do: it is as it was left, or of a nodens that came later, or was there from before. */
  function mayStay(text: string, listed: string): boolean {
    // Where no table is wanted and none is there, nft need not be able to do anything.
    if (put === undefined) return text === "" ? listed === "" : isSameTable(text, listed);
    if (put.text !== text) return false;
    return listed === put.listed || (markOf(listed) !== "" && markOf(listed) !== markOf(text));
  }

  function wantedText(): string {
    const options = wanted();
    return options === undefined ? "" : ownAddressTableText(options);
  }

  async function verify(): Promise<Verified> {
    const text = wantedText();
    // Before the table is read: what is changed meanwhile counts as changed.
    const generation = netfilter.generation();
    goodGeneration = undefined;
    const listed = await listing();
    if (mayStay(text, listed)) {
      put ??= { text, listed };
      goodGeneration = generation;
      return { wasChanged: false, problem: undefined };
    }
    const wasLeftSo = put === undefined || put.text !== text;
    const problem = await putText(text);
    // Reported once it is back, not at every try.
    return { wasChanged: !wasLeftSo && problem === undefined, problem };
  }

  return {
    verify,
    async glance() {
      const isSame = goodGeneration !== undefined && goodGeneration === netfilter.generation();
      const options = wanted();
      if (!isSame || options === undefined || put?.text !== wantedText()) return verify();
      const blocked = askBlockedPods((set) => netfilter.elements(ownAddressTable, set), familiesOf(options.own));
      if (blocked === undefined) return verify();
      seen = { ...seen, blocked };
      return { wasChanged: false, problem: undefined };
    },
    countTracked() {
      const more = seen.tracked - told;
      told = seen.tracked;
      return Math.max(0, more);
    },
    blockedPods: () => seen.blocked,
  };
}

/** Made anew, the table would forget whose questions are under way: one that an earlier process left is adopted. */
function isSameTable(text: string, listed: string): boolean {
  return markOf(listed) === markOf(text) && lineCount(listed) === lineCount(text);
}

/** Adding first makes deleting safe: a table that is not there cannot be deleted. */
const removalText = `table inet ${ownAddressTable}\ndelete table inet ${ownAddressTable}\n`;

/** What the table's comment ends with; empty where it has none of ours. */
function markOf(text: string): string {
  return /comment "nodens: .* \(([0-9a-f]{12})\)"/.exec(text)?.[1] ?? "";
}

/** Without the elements of sets, which may take many lines, and what counters have counted. */
function withoutState(text: string): string {
  return text.replaceAll(/\n\s*elements = \{[^}]*\}/g, "").replaceAll(/\n\s*packets \d+ bytes \d+(?=\n)/g, "");
}

/** What a named counter has counted in a table as nft lists it; 0 where it has no such counter. */
function packetsIn(counter: string, listed: string): number {
  return Number(new RegExp(`counter ${counter} \\{\\s*packets (\\d+)`).exec(listed)?.[1] ?? 0);
}

/** Lines that nft prints as well: not the empty ones. */
function lineCount(text: string): number {
  return withoutState(text)
    .split("\n")
    .filter((line) => line.trim() !== "").length;
}
