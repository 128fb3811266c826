/*
 * The fields of a store's entries: an entry is a number, and its fields are sixteen 32-bit words that lie together, so that a hit touches
 * one line of the processor's cache for all of them. Rows come in chunks, which are made and given up one at a time: growing copies nothing.
 *
 *      float 0   stored at, ms             word 10   DO and CD << 16 | name's size
 *      float 1   expires at, ms            word 11   class << 16 | type
 *      float 2   to be refreshed at, ms    word 12   number of records << 16 | question's end
 *      word 6    page of the arena, or -1  word 13   key (cacheKey), which has the name's hash in it
 *      word 7    offset in the page        word 14   number of addresses << 16 | first of them
 *      word 8    size of the message       word 15   used lately << 31 | whose turn it is << 16 | hits
 *      word 9    next row of the bucket (entry-index), or next free row
 */

/** Where the fields are in a row. */
export const Float = { storedAt: 0, expiresAt: 1, refreshAt: 2 } as const;
/** Where the others are. */
export const Word = {
  page: 6,
  offset: 7,
  sizeBytes: 8,
  next: 9,
  bitsAndName: 10,
  classAndType: 11,
  recordsAndQuestion: 12,
  key: 13,
  addresses: 14,
  turnAndHits: 15,
} as const;

/** No row. */
export const none = -1;

/** A row's words, and rows to a chunk, as powers of two. */
const wordBits = 4;
const chunkBits = 12;
const rowsPerChunk = 1 << chunkBits;

/** What a row takes of a store's budget. */
export const rowSizeBytes = 4 << wordBits;

/** The rows of one store. The arrays are read and written directly, at `wordAt` and `floatAt`, in the chunk that `chunkOf` names. */
export interface EntryRows {
  readonly words: readonly Int32Array[];
  /** The same memory. */
  readonly floats: readonly Float64Array[];
  /** Returns a row that nobody uses: its page is -1, everything else is left over. */
  take(): number;
  /** Gives a row up, whose page is -1. */
  release(row: number): void;
  /** The next row after this one (or `none`) that has a page; `none` after the last. */
  after(row: number): number;
}

/** The chunk of a row. */
export function chunkOf(row: number): number {
  return row >> chunkBits;
}

/** Where a row's words start in its chunk. */
export function wordAt(row: number): number {
  return (row & (rowsPerChunk - 1)) << wordBits;
}

/** Where a row's floats start in its chunk. */
export function floatAt(row: number): number {
  return (row & (rowsPerChunk - 1)) << (wordBits - 1);
}

const noWords = new Int32Array(0);
const noFloats = new Float64Array(0);

/** Creates rows without memory. */
export function createEntryRows(): EntryRows {
  const words: Int32Array[] = [];
  const floats: Float64Array[] = [];
  // By chunk: the first of the rows that were given back, how many were ever taken, and how many are in use. What was never taken
  // is not touched, so it costs no memory.
  const firstFree: number[] = [];
  const taken: number[] = [];
  const used: number[] = [];
  // The chunks that have free rows, apart from the one that rows are taken from.
  const roomy: number[] = [];
  const givenUp: number[] = [];
  let open = addChunk();

  function addChunk(): number {
    const chunk = givenUp.pop() ?? words.length;
    const memory = new ArrayBuffer(rowsPerChunk * rowSizeBytes);
    words[chunk] = new Int32Array(memory);
    floats[chunk] = new Float64Array(memory);
    firstFree[chunk] = none;
    taken[chunk] = 0;
    used[chunk] = 0;
    return chunk;
  }

  function isFull(chunk: number): boolean {
    return firstFree[chunk] === none && taken[chunk] === rowsPerChunk;
  }

  function take(): number {
    if (isFull(open)) open = roomy.pop() ?? addChunk();
    const ofChunk = words[open] as Int32Array;
    let row = firstFree[open] as number;
    if (row === none) {
      row = taken[open] as number;
      taken[open] = row + 1;
    } else firstFree[open] = ofChunk[wordAt(row) + Word.next] as number;
    used[open] = (used[open] as number) + 1;
    ofChunk[wordAt(row) + Word.page] = none;
    return (open << chunkBits) + row;
  }

  function release(row: number): void {
    const chunk = chunkOf(row);
    if (isFull(chunk) && chunk !== open) roomy.push(chunk);
    (words[chunk] as Int32Array)[wordAt(row) + Word.next] = firstFree[chunk] as number;
    firstFree[chunk] = row & (rowsPerChunk - 1);
    used[chunk] = (used[chunk] as number) - 1;
    if (used[chunk] === 0 && chunk !== open) giveUp(chunk);
  }

  function giveUp(chunk: number): void {
    roomy.splice(roomy.indexOf(chunk), 1);
    words[chunk] = noWords;
    floats[chunk] = noFloats;
    taken[chunk] = 0;
    givenUp.push(chunk);
  }

  function after(row: number): number {
    let index = row === none ? 0 : (row & (rowsPerChunk - 1)) + 1;
    for (let chunk = row === none ? 0 : chunkOf(row); chunk < words.length; chunk += 1, index = 0) {
      const ofChunk = words[chunk] as Int32Array;
      const end = used[chunk] === 0 ? 0 : (taken[chunk] as number);
      for (; index < end; index += 1)
        if (ofChunk[wordAt(index) + Word.page] !== none) return (chunk << chunkBits) + index;
    }
    return none;
  }

  return { words, floats, take, release, after };
}
