/*
 * A process that simulates one situation, and tells over IPC how far it is.
 */
import { simulate, type FleetSize, fleetOf } from "./simulate.ts";
import { situations, type SituationName } from "./situations.ts";
import type { Outcome } from "./report.ts";

/** What the process is given, as JSON in its only argument. */
export interface Job extends FleetSize {
  readonly name: SituationName;
}

/** What it says: how many seconds are done, and at last what came of them. */
export type Message = { readonly second: number } | { readonly outcome: Omit<Outcome, "situation"> };

const job = JSON.parse(process.argv[2] ?? "") as Job;
const startedAtMs = performance.now();
const say = (message: Message) => process.send?.(message);
const series = await simulate(situations[job.name], { ...fleetOf(job), onSecond: (second) => say({ second }) });
const tookSeconds = (performance.now() - startedAtMs) / 1000;
say({ outcome: { series, tookSeconds, memoryMb: process.resourceUsage().maxRSS / 1000 } });
