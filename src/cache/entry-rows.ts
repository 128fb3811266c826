/*
 * The fields of a store's entries: an entry is a number, and its fields are sixteen 32-bit words that lie together, so that a hit touches
 * one line of the processor's cache for all of them. Rows come in chunks, which are made and given up one at a time: growing copies nothing.
 *
 *      float 0   stored at, ms             word 10   DO and CD << 16 | name's size
 *      float 1   expires at, ms            word 11   class << 16 | type
 *      float 2   to be refreshed at, ms    word 12   number of records << 16 | question's end
 *      word 6    page of the arena, or -1  word 13   name's hash
 *      word 7    offset in the page        word 14   number of addresses << 16 | first of them
 *      word 8    size of the message       word 15   whose turn it is << 16 | hits
 *      word 9    next free row
 */

/** Where the fields are in a row. */
export const Float = { storedAt: 0, expiresAt: 1, refreshAt: 2 } as const;
/** Where the others are. */
export const Word = {
  page: 6,
  offset: 7,
  sizeBytes: 8,
  nextFree: 9,
  bitsAndName: 10,
  classAndType: 11,
  recordsAndQuestion: 12,
  nameHash: 13,
  addresses: 14,
  turnAndHits: 15,
} as const;

/** A row's words, and rows to a chunk, as powers of two. */
const wordBits = 4;
const chunkBits = 10;
const rowsPerChunk = 1 << chunkBits;
const none = -1;

/** What a row takes of a store's budget. */
export const rowSizeBytes = 4 << wordBits;

/** The rows of one store. The arrays are read and written directly, at `wordAt` and `floatAt`, in the chunk that `chunkOf` names. */
export interface EntryRows {
  readonly words: readonly Int32Array[];
  /** The same memory. */
  readonly floats: readonly Float64Array[];
  /** Returns a row that nobody uses: its page is -1, everything else is left over. */
  take(): number;
  /** Gives a row up. */
  release(row: number): void;
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
  // By chunk: its first free row, and how many are in use, or -1 for a chunk that was given up.
  const firstFree: number[] = [];
  const used: number[] = [];
  // The chunks that have free rows, apart from the one that rows are taken from.
  const roomy: number[] = [];
  const givenUp: number[] = [];
  let open = addChunk();

  function addChunk(): number {
    const chunk = givenUp.pop() ?? words.length;
    const memory = new ArrayBuffer(rowsPerChunk * rowSizeBytes);
    const ofChunk = new Int32Array(memory);
    for (let row = 0; row < rowsPerChunk; row += 1)
      ofChunk[(row << wordBits) + Word.nextFree] = row + 1 < rowsPerChunk ? row + 1 : none;
    words[chunk] = ofChunk;
    floats[chunk] = new Float64Array(memory);
    firstFree[chunk] = 0;
    used[chunk] = 0;
    return chunk;
  }

  function take(): number {
    if (firstFree[open] === none) open = roomy.pop() ?? addChunk();
    const row = firstFree[open] as number;
    const ofChunk = words[open] as Int32Array;
    firstFree[open] = ofChunk[(row << wordBits) + Word.nextFree] as number;
    used[open] = (used[open] as number) + 1;
    ofChunk[(row << wordBits) + Word.page] = none;
    return (open << chunkBits) + row;
  }

  function release(row: number): void {
    const chunk = chunkOf(row);
    const ofChunk = words[chunk] as Int32Array;
    ofChunk[wordAt(row) + Word.page] = none;
    ofChunk[wordAt(row) + Word.nextFree] = firstFree[chunk] as number;
    if (firstFree[chunk] === none && chunk !== open) roomy.push(chunk);
    firstFree[chunk] = row & (rowsPerChunk - 1);
    used[chunk] = (used[chunk] as number) - 1;
    if (used[chunk] === 0 && chunk !== open) giveUp(chunk);
  }

  function giveUp(chunk: number): void {
    roomy.splice(roomy.indexOf(chunk), 1);
    words[chunk] = noWords;
    floats[chunk] = noFloats;
    givenUp.push(chunk);
  }

  return { words, floats, take, release };
}
