/*
 * Moments that are remembered of many names, by the hash of each: numbers in columns, for what is noted with every answer. A text as a
 * key would be made and looked up anew each time, and one that is kept is work for the collector.
 */

/** Moments, in monotonic milliseconds, by hash. A name whose hash is another's too shares its moment: only for what may be wrong now and then. */
export interface MomentTable {
  /** The moment that is remembered for this hash, which is a 32-bit integer; 0 if none is. */
  get(hash: number): number;
  /** Remembers a moment above 0, in place of one that may be remembered. Of those that share its few places, the earliest makes room. */
  set(hash: number, moment: number): void;
  /** Forgets the moment of this hash. Does nothing if none is remembered. */
  delete(hash: number): void;
}

/** A hash has so many places where its moment may stand. */
const placesEach = 8;

/** Creates an empty table for up to `size` moments, a power of two from 8 on. */
export function createMomentTable(size: number): MomentTable {
  const hashes = new Int32Array(size);
  // 0 is a free place.
  const moments = new Float64Array(size);

  const firstOf = (hash: number) => (hash & (size / placesEach - 1)) * placesEach;

  function placeOf(hash: number): number | undefined {
    const first = firstOf(hash);
    for (let place = first; place < first + placesEach; place += 1)
      if (hashes[place] === hash && moments[place] !== 0) return place;
    return undefined;
  }

  function earliestOf(hash: number): number {
    const first = firstOf(hash);
    let found = first;
    for (let place = first + 1; place < first + placesEach; place += 1)
      if ((moments[place] as number) < (moments[found] as number)) found = place;
    return found;
  }

  return {
    get(hash) {
      const place = placeOf(hash);
      return place === undefined ? 0 : (moments[place] as number);
    },
    set(hash, moment) {
      const place = placeOf(hash) ?? earliestOf(hash);
      hashes[place] = hash;
      moments[place] = moment;
    },
    delete(hash) {
      const place = placeOf(hash);
      if (place !== undefined) moments[place] = 0;
    },
  };
}
