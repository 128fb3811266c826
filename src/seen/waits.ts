/*
 * The pods that waited: how many by how long and why, and the last of them with what is known of each.
 */
import { firstNames } from "./repeats.ts";

/** How long clients wait before they ask again, by the resolvers that do: 2.5 s is musl, 5 s glibc and Go, 1 s whoever set `timeout:1`. */
export const waitBuckets = ["1s", "2.5s", "5s", "other"] as const;

/** What explains a wait: its name, what it means, and by how much it has grown. */
export interface MovedCause {
  readonly label: string;
  readonly meaning: string;
  readonly by: number;
}

/** A query that came again. */
export interface Wait {
  readonly atMs: number;
  readonly client: string;
  /** The name (folded, wire form); undefined if names are not kept. */
  readonly name: Uint8Array | undefined;
  readonly nameHash: number;
  readonly type: number;
  readonly afterMs: number;
  /** A First. */
  readonly first: number;
  /** What is wrong for this pod alone. */
  podCauses: readonly MovedCause[];
}

/** Counts waits and keeps the last. */
export interface Waits {
  add(wait: Omit<Wait, "podCauses">): void;
  /** The counts since the start, by `firstNames` and `waitBuckets`. */
  count(first: number, bucket: number): number;
  total(): number;
  /** The waits kept, newest first. */
  recent(): readonly Wait[];
}

/** Timers fire late, and packets take their time: a client's 5 s are between 4.9 and 5.4. */
const around = [
  { bucket: 0, fromMs: 900, toMs: 1200 },
  { bucket: 1, fromMs: 2400, toMs: 2800 },
  { bucket: 2, fromMs: 4900, toMs: 5400 },
] as const;

const otherBucket = 3;
const keptWaits = 256;

/** Creates a list without waits. */
export function createWaits(): Waits {
  const counts = new Float64Array(firstNames.length * waitBuckets.length);
  const kept: Wait[] = [];
  let total = 0;

  return {
    add(wait) {
      const slot = wait.first * waitBuckets.length + bucketOf(wait.afterMs);
      counts[slot] = (counts[slot] as number) + 1;
      total += 1;
      kept.push({ ...wait, podCauses: [] });
      if (kept.length > keptWaits) kept.shift();
    },
    count: (first, bucket) => counts[first * waitBuckets.length + bucket] ?? 0,
    total: () => total,
    recent: () => kept.toReversed(),
  };
}

/** The index in `waitBuckets` of a time in ms. */
export function bucketOf(afterMs: number): number {
  return around.find(({ fromMs, toMs }) => afterMs >= fromMs && afterMs <= toMs)?.bucket ?? otherBucket;
}

/** Whether a time in ms is one after which a known resolver asks again. */
export function isKnownInterval(afterMs: number): boolean {
  return bucketOf(afterMs) !== otherBucket;
}
