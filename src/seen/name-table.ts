/*
 * What is asked: a row of numbers for each of the names that are asked most, found by the name's hash. Rows lie in sets of eight; a name without
 * a row takes that of the rarest name of its set with a chance of one in that name's count (Ben Basat et al., Randomized Admission Policy).
 */
import { addWeight } from "./client-table.ts";
import { createChance } from "./chance.ts";
import { createDecay, type Decay } from "./decay.ts";
import type { NameRing } from "./name-ring.ts";

/** What is counted of a name, as columns by row. All decay. */
export interface NameColumns {
  readonly queries: Float32Array;
  readonly nxdomain: Float32Array;
}

/** The names that are asked most. */
export interface NameTable {
  /** Counts `weight` queries for the name with this hash; its reference in the ring leads to the name, where names are kept. */
  note(hash: number, reference: number, weight: number): void;
  /** Counts `weight` denials of the name with this hash, if it has a row. */
  noteDenial(hash: number, weight: number): void;
  /** The name in a row (folded, wire form), valid until the row is given away; undefined if names are not kept or the row is not taken. */
  nameIn(row: number): Uint8Array | undefined;
  hashIn(row: number): number;
  readonly rowCount: number;
  readonly columns: NameColumns;
  readonly decay: Decay;
}

const rowsPerSet = 8;
const roomPerName = 256;

/** Creates a table of `rowCount` rows (a power of 2, at least 8) with names out of `ring`. Without it only their hashes are kept. */
export function createNameTable(rowCount: number, ring: NameRing | undefined, seed: number): NameTable {
  const hashes = new Int32Array(rowCount);
  const sizes = new Uint8Array(rowCount);
  const octets = new Uint8Array(ring === undefined ? 0 : rowCount * roomPerName);
  const columns: NameColumns = { queries: new Float32Array(rowCount), nxdomain: new Float32Array(rowCount) };
  const setMask = rowCount / rowsPerSet - 1;
  const chance = createChance(seed);
  // The row of the last name with this hash: a set is searched only where two names clash.
  const hints = new Uint16Array(rowCount * 4);
  const hintMask = hints.length - 1;

  function startOf(hash: number): number {
    return ((hash ^ (hash >>> 16)) & setMask) * rowsPerSet;
  }

  function note(hash: number, reference: number, weight: number): void {
    const hint = hints[hash & hintMask] as number;
    if (hashes[hint] === hash && sizes[hint] !== 0) addWeight(columns.queries, hint, weight);
    else search(hash, reference, weight);
  }

  function search(hash: number, reference: number, weight: number): void {
    const start = startOf(hash);
    let rarest = start;
    for (let row = start; row < start + rowsPerSet; row += 1) {
      if (hashes[row] === hash && sizes[row] !== 0) {
        addWeight(columns.queries, row, weight);
        hints[hash & hintMask] = row;
        return;
      }
      if ((columns.queries[row] as number) < (columns.queries[rarest] as number)) rarest = row;
    }
    const count = columns.queries[rarest] as number;
    if (chance.oneIn((count + weight) / weight)) take(rarest, hash, reference, count < 1 ? weight : count + weight);
  }

  function take(row: number, hash: number, reference: number, count: number): void {
    const name = ring?.find(reference, hash);
    // It has been overwritten: too many names came at once.
    if (ring !== undefined && name === undefined) return;
    hashes[row] = hash;
    sizes[row] = name?.length ?? 1;
    columns.queries[row] = count;
    columns.nxdomain[row] = 0;
    if (name !== undefined) octets.set(name, row * roomPerName);
  }

  return {
    note,
    noteDenial(hash, weight) {
      const start = startOf(hash);
      for (let row = start; row < start + rowsPerSet; row += 1)
        if (hashes[row] === hash && sizes[row] !== 0) return addWeight(columns.nxdomain, row, weight);
    },
    nameIn(row) {
      const size = sizes[row] ?? 0;
      return ring !== undefined && size > 0 ? octets.subarray(row * roomPerName, row * roomPerName + size) : undefined;
    },
    hashIn: (row) => hashes[row] ?? 0,
    rowCount,
    columns,
    decay: createDecay(Object.values(columns)),
  };
}
