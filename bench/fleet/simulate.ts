/*
 * A fleet through one situation, from its start to its end.
 */
import { type Chance, createChance, seedMathRandom } from "./chance.ts";
import { createEventClock } from "./event-clock.ts";
import { createPod, createService } from "./kube-dns.ts";
import { createNode } from "./node.ts";
import type { Situation } from "./situations.ts";
import { createTraffic, type Series } from "./traffic.ts";
import { createWorkload, defaultWorkload, type WorkloadLimits } from "./workload.ts";

/** How large a fleet is, and the seed of its chance. */
export interface FleetSize {
  readonly nodes: number;
  readonly seed: number;
}

/** A fleet. */
export interface FleetOptions extends FleetSize {
  readonly pods: number;
  /** What one pod of kube-dns answers in a second. */
  readonly questionsPerSecond: number;
  readonly workload: WorkloadLimits;
  /** Told of every second that has been simulated. */
  onSecond(second: number): void;
}

/** A pod of kube-dns for so many nodes, and so many at least. */
const nodesPerPod = 100;
const leastPods = 3;

/** In so many seconds all nodens start, one after the other. */
const startSeconds = 30;

/** A fleet of so many nodes, with as many pods of kube-dns as they need. */
export function fleetOf({ nodes, seed }: FleetSize): FleetOptions {
  const pods = Math.max(leastPods, Math.ceil(nodes / nodesPerPod));
  return { nodes, seed, pods, questionsPerSecond: 2000, workload: defaultWorkload, onSecond() {} };
}

/** Runs a situation. Resolves with what was counted in each of its seconds. */
export async function simulate(situation: Situation, options: FleetOptions): Promise<Series> {
  const chance = createChance(options.seed);
  const release = seedMathRandom(createChance(options.seed + 1));
  try {
    return await run(situation, options, chance);
  } finally {
    release();
  }
}

async function run(situation: Situation, options: FleetOptions, chance: Chance): Promise<Series> {
  const clock = createEventClock();
  const traffic = createTraffic(clock, situation.endsAtSecond);
  const newPod = () => createPod(clock, options, chance);
  const pods = Array.from({ length: options.pods }, newPod);
  const service = createService(clock, pods);
  const workload = createWorkload(options.workload, chance);
  const activity = () => situation.activity?.(clock.nowMs() / 1000) ?? 1;
  const nodes = Array.from({ length: options.nodes }, () =>
    createNode({ clock, service, chance, traffic, activity, names: workload.namesOfNode() }),
  );
  for (const node of nodes) clock.after(chance() * startSeconds * 1000, () => node.startNodens());
  clock.after(situation.beginsAtSecond * 1000, () =>
    situation.begin({ clock, chance, nodes, service, pods, createPod: newPod }),
  );
  for (let second = 1; second <= situation.endsAtSecond; second += 1) {
    await clock.run(second * 1000);
    traffic.noteSecond();
    options.onSecond(second);
  }
  return traffic.series;
}
