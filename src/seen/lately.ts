/*
 * What came so lately that nobody can have waited since: told by a query's number alone, without a look at its slot, which most often is out of
 * the processor's cache.
 */

/** Follows the queries in the order in which they were recorded. */
export interface Lately {
  /**
   * Takes in the next query, by its number (counted from 1) and its moment, and returns a number: all from that one on came less than the time
   * before it. Older ones may have, too.
   */
  since(number: number, moment: number): number;
}

/** Where each is in the state, for the half that has begun and the one before it. */
const State = { first: 0, startedAt: 1, earliest: 2, firstBefore: 3, earliestBefore: 4 } as const;

/**
 * Creates it for a time of `withinMs`. Moments are low 32 bits. They need not rise: a query that lay in its socket has an earlier moment than
 * the ones that were recorded before it.
 */
export function createLately(withinMs: number): Lately {
  const halfMs = withinMs / 2;
  // In an array, because a number that does not fit into 31 bits is an object in a variable.
  const state = new Int32Array(5);

  function since(number: number, moment: number): number {
    const apartMs = Math.abs((moment - (state[State.startedAt] as number)) | 0);
    if (apartMs >= halfMs || state[State.first] === 0) begin(number, moment);
    if (((moment - (state[State.earliest] as number)) | 0) < 0) state[State.earliest] = moment;
    if (((moment - (state[State.earliest] as number)) | 0) >= withinMs) return number;
    const isBeforeRecent = ((moment - (state[State.earliestBefore] as number)) | 0) < withinMs;
    return (isBeforeRecent ? state[State.firstBefore] : state[State.first]) as number;
  }

  function begin(number: number, moment: number): void {
    state[State.firstBefore] = state[State.first] as number;
    state[State.earliestBefore] = state[State.earliest] as number;
    state[State.first] = number;
    state[State.startedAt] = moment;
    state[State.earliest] = moment;
  }

  return { since };
}
