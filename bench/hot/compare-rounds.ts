/*
 * From the numbers of several rounds to what can be said of them.
 */

/** The middle of some rounds, and how far they lie apart. */
export interface Middle {
  readonly median: number;
  /** (highest - lowest) / median. */
  readonly spread: number;
}

/** The branch beside the base: above 1 it is slower. */
export interface Change {
  readonly ratio: number;
  readonly lowest: number;
  readonly highest: number;
  readonly verdict: "same" | "faster" | "slower";
}

/** Less than this share is not called a change, however steady it is: code that moves in memory does as much. */
const leastChange = 0.05;

/** Fewer rounds say nothing about noise. */
const leastRounds = 5;

/** The middle of one or more values. */
export function middleOf(values: readonly number[]): Middle {
  const sorted = values.toSorted((one, other) => one - other);
  const half = sorted.length >> 1;
  const upper = sorted[half] as number;
  const median = sorted.length % 2 === 1 ? upper : (upper + (sorted[half - 1] as number)) / 2;
  const range = (sorted.at(-1) as number) - (sorted[0] as number);
  return { median, spread: median === 0 ? 0 : range / median };
}

/**
 * Compares rounds that ran one right after the other, base and branch of the same length: what disturbs the machine for longer than
 * a round disturbs both. A change is one that all rounds agree about.
 */
export function compareRounds(base: readonly number[], branch: readonly number[]): Change {
  const ratios = branch.map((value, index) => value / (base[index] as number));
  const [ratio, lowest, highest] = [middleOf(ratios).median, Math.min(...ratios), Math.max(...ratios)];
  const isEnough = ratios.length >= leastRounds && Math.abs(ratio - 1) >= leastChange;
  if (isEnough && lowest > 1) return { ratio, lowest, highest, verdict: "slower" };
  if (isEnough && highest < 1) return { ratio, lowest, highest, verdict: "faster" };
  return { ratio, lowest, highest, verdict: "same" };
}
