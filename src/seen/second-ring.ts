/*
 * What counters did in each of the last seconds: a ring of differences, sampled once a second. It costs the hot path nothing, because the
 * counters are there anyway.
 */

/** The last seconds of a fixed set of counters. */
export interface SecondRing {
  /** Takes the counters' totals at a moment, in the order of their names. The first call only sets where they start. */
  sample(totals: readonly number[], nowMs: number): void;
  /** By how much the counter has grown between two moments, as far as the ring goes back. */
  grownBetween(counter: number, fromMs: number, toMs: number): number;
  /** The same for `steps` equal parts of the last `lastMs` milliseconds, the oldest first. */
  series(counter: number, lastMs: number, steps: number, nowMs: number): number[];
  /** How far back the ring goes, in ms. */
  reachMs(nowMs: number): number;
}

/** Creates a ring of `counterCount` counters over `seconds` samples. */
export function createSecondRing(counterCount: number, seconds: number): SecondRing {
  const differences = new Float32Array(counterCount * seconds);
  const sampledAtMs = new Float64Array(seconds);
  const before = new Float64Array(counterCount);
  let samples = 0;
  let startedAtMs = -1;

  function sample(totals: readonly number[], nowMs: number): void {
    if (startedAtMs < 0) {
      startedAtMs = nowMs;
      before.set(totals);
      return;
    }
    const at = samples % seconds;
    sampledAtMs[at] = nowMs;
    for (let counter = 0; counter < counterCount; counter += 1) {
      const total = totals[counter] ?? 0;
      // A counter that was set back has grown by nothing.
      differences[at * counterCount + counter] = Math.max(0, total - (before[counter] as number));
      before[counter] = total;
    }
    samples += 1;
  }

  function grownBetween(counter: number, fromMs: number, toMs: number): number {
    let sum = 0;
    for (let back = 1; back <= Math.min(samples, seconds); back += 1) {
      const at = (samples - back) % seconds;
      const moment = sampledAtMs[at] as number;
      if (moment <= fromMs) break;
      if (moment <= toMs) sum += differences[at * counterCount + counter] as number;
    }
    return sum;
  }

  return {
    sample,
    grownBetween,
    series(counter, lastMs, steps, nowMs) {
      const stepMs = lastMs / steps;
      const sums = Array.from({ length: steps }, () => 0);
      for (let back = 1; back <= Math.min(samples, seconds); back += 1) {
        const at = (samples - back) % seconds;
        const ageMs = nowMs - (sampledAtMs[at] as number);
        if (ageMs >= lastMs) break;
        const step = steps - 1 - Math.floor(ageMs / stepMs);
        sums[step] = (sums[step] as number) + (differences[at * counterCount + counter] as number);
      }
      return sums;
    },
    reachMs: (nowMs) => (startedAtMs < 0 ? 0 : Math.min(nowMs - startedAtMs, seconds * 1000)),
  };
}
