/*
 * What the kernel saw of pods' packets, read from the table of the interception now and then, and what is wrong by it.
 */
import { type InterceptCounter, interceptCounters } from "./intercept-table.ts";
import { podSets } from "./pod-switches.ts";
import { readTable } from "./read-table.ts";
import type { RunProgram } from "./run-program.ts";
import { type SetupProblem, trackedProblem } from "./setup-problem.ts";

type Packets = Readonly<Record<InterceptCounter, number>>;

/** What was counted until a moment. */
export interface PodCounts {
  /** Packets since the start, over all tables. */
  readonly packets: Packets;
  /** Packets since the look before. */
  readonly since: Packets;
  /** Of these, those in the present table. */
  readonly inTable: Packets;
  /** When a question of a pod was last seen to have come, whatever became of it; before any, when the first look was. */
  readonly lastSeenMs: number;
  readonly wasSeen: boolean;
  /** Pods that ask kube-dns because no replies leave for them. */
  readonly fallenPods: number;
  /** Pods whose packets are tracked because their untracked replies do not leave. */
  readonly trackedPods: number;
}

/** So long nothing may come before it is strange. */
const longQuietMs = 600_000;

/** Looks at a table. `before` is the last look. Undefined when nft fails; throws when it prints something else. */
export async function countPods(
  table: string,
  before: PodCounts | undefined,
  run: RunProgram,
  nowMs: number,
): Promise<PodCounts | undefined> {
  const read = await readTable(table, run);
  if (read === undefined) return undefined;
  const inTable = forEachCounter((name) => read.packets.get(name) ?? 0);
  const since = forEachCounter((name) => inTable[name] - (before?.inTable[name] ?? 0));
  const isSeen = since.intercepted + since.fell_back + since.unserved > 0;
  const count = (sets: readonly string[]) => sets.reduce((sum, name) => sum + (read.elements.get(name) ?? 0), 0);
  return {
    packets: forEachCounter((name) => (before?.packets[name] ?? 0) + since[name]),
    since,
    inTable,
    lastSeenMs: isSeen || before === undefined ? nowMs : before.lastSeenMs,
    wasSeen: isSeen || before?.wasSeen === true,
    fallenPods: count(podSets.fallen),
    trackedPods: count(podSets.tracked),
  };
}

/** The same counts beside a new table, in which nothing is counted yet. */
export function inAnotherTable(counts: PodCounts): PodCounts {
  return { ...counts, inTable: forEachCounter(() => 0), fallenPods: 0, trackedPods: 0 };
}

/** What is wrong by the last look. `table` is for whoever looks further. */
export function podProblems(counts: PodCounts | undefined, table: string, nowMs: number): SetupProblem[] {
  if (counts === undefined) return [];
  const problems: SetupProblem[] = [];
  if (counts.fallenPods > 0) {
    const message = `no replies leave for some pods, which ask kube-dns directly: a firewall or network policy drops what they send, or what they are sent; "nft list set inet ${table} fallen4" (or fallen6) names them`;
    problems.push({ kind: "pods", message });
  }
  if (counts.trackedPods > 0) {
    const message = `untracked replies do not leave for some pods, so their packets are tracked, and tried without half an hour later: a firewall lets out only what belongs to a known connection; "nft list set inet ${table} tracked4" (or tracked6) names them`;
    problems.push({ kind: "pods", message });
  }
  if (counts.since.tracked > 0) problems.push(trackedProblem("redirected packets of pods"));
  if (nowMs - counts.lastSeenMs >= longQuietMs) problems.push({ kind: "unseen", message: describeQuiet(counts) });
  return problems;
}

function describeQuiet({ wasSeen }: PodCounts): string {
  const what = wasSeen
    ? "no question of a pod has come for ten minutes, and there were some before"
    : "no question of a pod has come in ten minutes of intercepting";
  return `${what}: either no pod of this node asks the Service, or its address is translated before nodens sees the packets, as eBPF data planes and OVN do (docs/install.md, "Data planes")`;
}

function forEachCounter(value: (name: InterceptCounter) => number): Packets {
  return Object.fromEntries(interceptCounters.map((name) => [name, value(name)])) as Packets;
}
