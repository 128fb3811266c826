/*
 * Chance for estimates, where nobody gains by guessing it: xorshift32 (Marsaglia 2003).
 */

/** A source of chance. */
export interface Chance {
  /** True with a chance of one in `count` (1 or more). */
  oneIn(count: number): boolean;
  /** A whole number from 0 up to, but not including, `limit`. */
  below(limit: number): number;
}

/** Creates a source whose sequence follows from `seed`. */
export function createChance(seed: number): Chance {
  let state = seed | 1;

  function next(): number {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 0x1_0000_0000;
  }

  return { oneIn: (count) => next() * count < 1, below: (limit) => Math.floor(next() * limit) };
}
