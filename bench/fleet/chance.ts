/*
 * Chance that can be repeated: the same seed, the same run.
 */

/** A number from 0 up to, not including, 1. */
export type Chance = () => number;

/** Creates a sequence (mulberry32). */
export function createChance(seed: number): Chance {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Lets everything that reads Math.random, nodens included, read this sequence until the returned function is called. */
export function seedMathRandom(chance: Chance): () => void {
  const original = Math.random;
  Math.random = chance;
  return () => void (Math.random = original);
}

/** How long until the next of events that come `perSecond` on the average, one independent of the other. */
export function waitMs(chance: Chance, perSecond: number): number {
  return (-Math.log(1 - chance()) / perSecond) * 1000;
}

/** How many events came where `mean` were to be expected. */
export function countOf(chance: Chance, mean: number): number {
  // Where there are many, the shape of the distribution no longer matters to anybody here.
  if (mean > 30) return Math.round(mean);
  let count = 0;
  for (let product = chance(); product > Math.exp(-mean); product *= chance()) count += 1;
  return count;
}

/** Shares that fall as 1, 1/2, 1/3 ... (Zipf), and together are 1. */
export function zipfShares(count: number): number[] {
  const weights = Array.from({ length: count }, (_, rank) => 1 / (rank + 1));
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => weight / sum);
}
