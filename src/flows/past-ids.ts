/*
 * The IDs of past questions on one flow: replies to those are late, or duplicates, and not a sign that somebody is guessing.
 */

/** How many are remembered: few out of 65,536, so that somebody guessing gains next to nothing. */
export const maxPastIds = 1024;

/** IDs, the oldest of which are forgotten. */
export interface PastIds {
  has(id: number): boolean;
  /** Adds an ID that is not in it. */
  add(id: number): void;
}

/** Creates an empty set. */
export function createPastIds(): PastIds {
  const ids = new Uint16Array(maxPastIds);
  const bits = new Uint8Array(2 ** 16 / 8);
  let added = 0;
  const bitOf = (id: number) => 1 << (id & 7);
  return {
    has: (id) => ((bits[id >> 3] as number) & bitOf(id)) !== 0,
    add(id) {
      const at = added % maxPastIds;
      const oldest = ids[at] as number;
      if (added >= maxPastIds) bits[oldest >> 3] = (bits[oldest >> 3] as number) & ~bitOf(oldest);
      ids[at] = id;
      bits[id >> 3] = (bits[id >> 3] as number) | bitOf(id);
      added += 1;
    },
  };
}
