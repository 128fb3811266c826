/*
 * What the kernel saw of pods' packets, read from the table of the interception now and then, and what is wrong by it.
 */
import type { InterceptCounter } from "./intercept-table.ts";
import { podSets } from "./pod-switches.ts";
import { countElements, readCounters } from "./read-counters.ts";
import type { RunProgram } from "./run-program.ts";
import { type SetupProblem, trackedProblem } from "./setup-problem.ts";

/** What was counted in a table until a moment. */
export interface PodCounts {
  /** Packets since the table was made. */
  readonly packets: Readonly<Record<InterceptCounter, number>>;
  /** Packets since the look before. */
  readonly since: Readonly<Record<InterceptCounter, number>>;
  /** Pods that ask kube-dns because no replies leave for them. */
  readonly fallenPods: number;
  /** Pods whose packets are tracked because their untracked replies do not leave. */
  readonly trackedPods: number;
}

/** Looks at a table. `before` is the last look at the same table. Undefined when nft fails; throws when it prints something else. */
export async function countPods(
  table: string,
  before: PodCounts | undefined,
  run: RunProgram,
): Promise<PodCounts | undefined> {
  const counters = await readCounters(table, run);
  if (counters === undefined) return undefined;
  const of = (name: InterceptCounter) => counters.get(name) ?? 0;
  const packets = {
    intercepted: of("intercepted"),
    answered: of("answered"),
    fell_back: of("fell_back"),
    unserved: of("unserved"),
    turned_tracked: of("turned_tracked"),
    tracked: of("tracked"),
  };
  const more = (name: InterceptCounter) => packets[name] - (before?.packets[name] ?? 0);
  const since = {
    intercepted: more("intercepted"),
    answered: more("answered"),
    fell_back: more("fell_back"),
    unserved: more("unserved"),
    turned_tracked: more("turned_tracked"),
    tracked: more("tracked"),
  };
  // Each command reads much of what other tables there are, so only what can have changed is asked for.
  const count = async (sets: readonly string[], canHaveChanged: boolean) =>
    canHaveChanged ? await countElements(table, sets, run) : 0;
  return {
    packets,
    since,
    fallenPods: await count(podSets.fallen, since.fell_back > 0),
    trackedPods: await count(podSets.tracked, since.turned_tracked > 0 || (before?.trackedPods ?? 0) > 0),
  };
}

/** What is wrong by the last look. `table` is for whoever looks further. */
export function podProblems(counts: PodCounts | undefined, table: string): SetupProblem[] {
  if (counts === undefined) return [];
  const problems: SetupProblem[] = [];
  if (counts.fallenPods > 0) {
    const message = `no replies leave for some pods, which ask kube-dns directly: a firewall or network policy drops what they send, or what they are sent; "nft list set inet ${table} fallen4" (or fallen6) names them`;
    problems.push({ kind: "path", message });
  }
  if (counts.trackedPods > 0) {
    const message = `untracked replies do not leave for some pods, so their packets are tracked, and tried without half an hour later: a firewall lets out only what belongs to a known connection; "nft list set inet ${table} tracked4" (or tracked6) names them`;
    problems.push({ kind: "path", message });
  }
  if (counts.since.tracked > 0) problems.push(trackedProblem("redirected packets of pods"));
  return problems;
}
