/*
 * What is asked: a row of numbers for each of the names that are asked most, found by the name's hash. Rows lie in sets of eight; a name without
 * a row takes that of the rarest name of its set with a chance of one in that name's count (Ben Basat et al., Randomized Admission Policy).
 */
import type { FoldedName } from "../wire/name.ts";
import { addOne } from "./client-table.ts";
import { createChance } from "./chance.ts";
import { createDecay, type Decay } from "./decay.ts";

/** What is counted of a name, as columns by row. All decay. */
export interface NameColumns {
  readonly queries: Float32Array;
  readonly nxdomain: Float32Array;
}

/** The names that are asked most. */
export interface NameTable {
  /** Counts a query. */
  note(name: FoldedName): void;
  /** Counts a denial of the name with this hash, if it has a row. */
  noteDenial(hash: number): void;
  /** The name in a row (folded, wire form), valid until the row is given away; undefined if names are not kept or the row is not taken. */
  nameIn(row: number): Uint8Array | undefined;
  hashIn(row: number): number;
  readonly rowCount: number;
  readonly columns: NameColumns;
  readonly decay: Decay;
}

const rowsPerSet = 8;
const roomPerName = 256;

/** Creates a table of `rowCount` rows (a power of 2, at least 8). Without `keepsNames` only their hashes are kept. */
export function createNameTable(rowCount: number, keepsNames: boolean, seed: number): NameTable {
  const hashes = new Int32Array(rowCount);
  const sizes = new Uint8Array(rowCount);
  const octets = new Uint8Array(keepsNames ? rowCount * roomPerName : 0);
  const columns: NameColumns = { queries: new Float32Array(rowCount), nxdomain: new Float32Array(rowCount) };
  const setMask = rowCount / rowsPerSet - 1;
  const chance = createChance(seed);
  // The row of the last name with this hash: a set is searched only where two names clash.
  const hints = new Uint16Array(rowCount * 4);
  const hintMask = hints.length - 1;

  function startOf(hash: number): number {
    return ((hash ^ (hash >>> 16)) & setMask) * rowsPerSet;
  }

  function note(name: FoldedName): void {
    const { hash } = name;
    const hint = hints[hash & hintMask] as number;
    if (hashes[hint] === hash && sizes[hint] !== 0) addOne(columns.queries, hint);
    else search(name);
  }

  function search(name: FoldedName): void {
    const { hash } = name;
    const start = startOf(hash);
    let rarest = start;
    for (let row = start; row < start + rowsPerSet; row += 1) {
      if (hashes[row] === hash && sizes[row] !== 0) {
        addOne(columns.queries, row);
        hints[hash & hintMask] = row;
        return;
      }
      if ((columns.queries[row] as number) < (columns.queries[rarest] as number)) rarest = row;
    }
    const count = columns.queries[rarest] as number;
    if (chance.oneIn(count + 1)) take(rarest, name, count < 1 ? 1 : count + 1);
  }

  function take(row: number, { hash, octets: from, sizeBytes }: FoldedName, count: number): void {
    hashes[row] = hash;
    sizes[row] = sizeBytes;
    columns.queries[row] = count;
    columns.nxdomain[row] = 0;
    if (!keepsNames) return;
    const at = row * roomPerName;
    for (let index = 0; index < sizeBytes; index += 1) octets[at + index] = from[index] as number;
  }

  return {
    note,
    noteDenial(hash) {
      const start = startOf(hash);
      for (let row = start; row < start + rowsPerSet; row += 1)
        if (hashes[row] === hash && sizes[row] !== 0) return addOne(columns.nxdomain, row);
    },
    nameIn(row) {
      const size = sizes[row] ?? 0;
      return keepsNames && size > 0 ? octets.subarray(row * roomPerName, row * roomPerName + size) : undefined;
    },
    hashIn: (row) => hashes[row] ?? 0,
    rowCount,
    columns,
    decay: createDecay(Object.values(columns)),
  };
}
