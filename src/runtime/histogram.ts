/*
 * Distributions as plain integers: adding a value costs a few comparisons, and Prometheus reads them when it scrapes.
 */

/** Counts per bucket. `counts[i]` is the number of values up to `bounds[i]` and above the bound before it; the last has no upper bound. */
export interface Histogram {
  readonly bounds: readonly number[];
  readonly counts: Float64Array;
  sum: number;
}

/** Seconds, as CoreDNS buckets them: 0.25 ms doubling up to 8.192 s. */
export const timeBoundsSeconds: readonly number[] = Array.from({ length: 16 }, (_, power) => 0.00025 * 2 ** power);

/** Octets, as CoreDNS buckets message sizes. */
export const sizeBoundsBytes: readonly number[] = [
  0, 100, 200, 300, 400, 511, 1023, 2047, 4095, 8291, 16_000, 32_000, 48_000, 64_000,
];

/** Creates an empty histogram. `bounds` are the upper bounds in ascending order; they are not copied. */
export function createHistogram(bounds: readonly number[]): Histogram {
  return { bounds, counts: new Float64Array(bounds.length + 1), sum: 0 };
}

/** Adds one value, in the unit of the bounds. */
export function observe(histogram: Histogram, value: number): void {
  observeMany(histogram, value, 1);
}

/** Adds the same value `times` times. */
export function observeMany(histogram: Histogram, value: number, times: number): void {
  const { bounds, counts } = histogram;
  let bucket = 0;
  while (bucket < bounds.length && value > (bounds[bucket] as number)) bucket += 1;
  counts[bucket] = (counts[bucket] as number) + times;
  histogram.sum += value * times;
}
