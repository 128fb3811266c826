/*
 * The octets of a store's entries: a log in pages. New octets go to the end of the head page; what is dropped leaves a hole, and when the
 * holes come near their bound, the entries of the emptiest page move to the head, one page at a time.
 * Octets in a page are written once: until its whole array is given to a new page, whoever has it can read what it held.
 *
 *      page    +------+------+--------+------+------+--------+- - - - -+
 *              | row  | size | octets | row  | size | octets |  free   |
 *              +------+------+--------+------+------+--------+- - - - -+
 *              4 octets   2
 *
 * What is large has an array of its own, which holds nothing else.
 */
import { chunkOf, type EntryRows, Word, wordAt } from "./entry-rows.ts";
import { readU16, readU32, writeU16, writeU32 } from "../wire/octets.ts";

/** The arena of one store. Where the octets of a row are stands in the row: `Word.page` and `Word.offset`. */
export interface Arena {
  /** The array of each page. Empty where there is none. */
  readonly pages: readonly Uint8Array[];
  /** Copies the octets of `source` from `start` on, `sizeBytes` of them, for this row, which has none. */
  add(row: number, source: Uint8Array, start: number, sizeBytes: number): void;
  /** Gives up the octets of a row, which were so many. */
  drop(row: number, sizeBytes: number): void;
  /** The bytes of all arrays, and of those the ones that nobody's octets take. */
  usage(): { readonly sizeBytes: number; readonly wastedBytes: number };
}

/**
 * The most that is wasted, as a share of the budget; and the least bound, in pages, for budgets that are tiny. The head, the spare pages and
 * the ends of full pages stay below either, so whatever exceeds it is holes.
 */
const maxWastedShare = 0.1;
const minWastedPages = 6;

/** The share of that bound from which on pages are emptied, one at a time. */
const cleanedFrom = 0.8;

const maxPageSizeBytes = 256 * 1024;
const minPageSizeBytes = 4 * 1024;
/** So many pages make a budget, at least: the head and the spare pages are a small part of it. */
const minPages = 64;
/** Larger octets than this part of a page have an array of their own, so that the end of a page that is full wastes little. */
const blocksPerPage = 32;
/** Arrays without entries that are kept for the next pages. */
const maxSpares = 2;

const blockHeaderSizeBytes = 6;

/** What octets take in a page besides themselves. */
export const blockOverheadBytes = blockHeaderSizeBytes;

const noPage = new Uint8Array(0);

/**
 * Creates an arena without memory, for octets of `budgetBytes` at most. `isHandedOut` says whether somebody outside reads an array: it is
 * not written to as long as that is so.
 */
export function createArena(budgetBytes: number, rows: EntryRows, isHandedOut: (octets: Uint8Array) => boolean): Arena {
  const pageSizeBytes = pageSizeFor(budgetBytes);
  const maxBlockBytes = pageSizeBytes / blocksPerPage;
  const maxWastedBytes = Math.max(maxWastedShare * budgetBytes, minWastedPages * pageSizeBytes);
  const cleanedFromBytes = cleanedFrom * maxWastedBytes;
  const pages: Uint8Array[] = [];
  // By page: the bytes of its blocks that are in use.
  const liveBytes: number[] = [];
  // By page: whether its array is one of many entries.
  const isShared: boolean[] = [];
  const freeNumbers: number[] = [];
  const spares: Uint8Array[] = [];
  let allBytes = 0;
  let allLiveBytes = 0;
  let head = addPage(noPage, false);
  let headEnd = 0;

  function addPage(octets: Uint8Array, shared: boolean): number {
    const page = freeNumbers.pop() ?? pages.length;
    pages[page] = octets;
    isShared[page] = shared;
    liveBytes[page] = 0;
    return page;
  }

  function add(row: number, source: Uint8Array, start: number, sizeBytes: number): void {
    if (sizeBytes > maxBlockBytes) addAlone(row, source, start, sizeBytes);
    else append(row, source, start, sizeBytes);
    clean();
  }

  function addAlone(row: number, source: Uint8Array, start: number, sizeBytes: number): void {
    const page = addPage(source.slice(start, start + sizeBytes), false);
    allBytes += sizeBytes;
    count(page, sizeBytes);
    place(rows, row, page, 0);
  }

  function append(row: number, source: Uint8Array, start: number, sizeBytes: number): void {
    if (headEnd + blockHeaderSizeBytes + sizeBytes > (pages[head] as Uint8Array).length) openPage();
    const octets = pages[head] as Uint8Array;
    writeU32(octets, headEnd, row);
    writeU16(octets, headEnd + 4, sizeBytes);
    const offset = headEnd + blockHeaderSizeBytes;
    for (let at = 0; at < sizeBytes; at += 1) octets[offset + at] = source[start + at] as number;
    headEnd = offset + sizeBytes;
    count(head, sizeBytes + blockHeaderSizeBytes);
    place(rows, row, head, offset);
  }

  function openPage(): void {
    const closed = head;
    const spare = spares.findIndex((octets) => !isHandedOut(octets));
    if (spare === -1) allBytes += pageSizeBytes;
    const octets = spare === -1 ? new Uint8Array(pageSizeBytes) : (spares.splice(spare, 1)[0] as Uint8Array);
    head = addPage(octets, true);
    headEnd = 0;
    if (liveBytes[closed] === 0) giveUp(closed);
  }

  function drop(row: number, sizeBytes: number): void {
    const words = rows.words[chunkOf(row)] as Int32Array;
    const page = words[wordAt(row) + Word.page] as number;
    words[wordAt(row) + Word.page] = -1;
    count(page, isShared[page] ? -sizeBytes - blockHeaderSizeBytes : -sizeBytes);
    if (liveBytes[page] === 0 && page !== head) giveUp(page);
    clean();
  }

  function count(page: number, sizeBytes: number): void {
    liveBytes[page] = (liveBytes[page] as number) + sizeBytes;
    allLiveBytes += sizeBytes;
  }

  function giveUp(page: number): void {
    const octets = pages[page] as Uint8Array;
    pages[page] = noPage;
    freeNumbers.push(page);
    if (isShared[page] && spares.length < maxSpares) spares.push(octets);
    else allBytes -= octets.length;
    isShared[page] = false;
  }

  function clean(): void {
    // One page for what comes or goes keeps pace: what it frees is more than an entry leaves.
    if (allBytes - allLiveBytes > cleanedFromBytes) empty(emptiestPage());
    while (allBytes - allLiveBytes > maxWastedBytes) empty(emptiestPage());
  }

  function emptiestPage(): number {
    let emptiest = head;
    let least = Infinity;
    for (let page = 0; page < pages.length; page += 1) {
      if (page === head || !isShared[page]) continue;
      const live = liveBytes[page] as number;
      if (live < least) [emptiest, least] = [page, live];
    }
    return emptiest;
  }

  /** Moves what is in use in a page to the head, and gives the page up. */
  function empty(page: number): void {
    const octets = pages[page] as Uint8Array;
    for (let at = 0; (liveBytes[page] as number) > 0;) {
      const row = readU32(octets, at);
      const sizeBytes = readU16(octets, at + 4);
      const offset = at + blockHeaderSizeBytes;
      if (isAt(rows, row, page, offset)) {
        append(row, octets, offset, sizeBytes);
        count(page, -sizeBytes - blockHeaderSizeBytes);
      }
      at = offset + sizeBytes;
    }
    giveUp(page);
  }

  return { pages, add, drop, usage: () => ({ sizeBytes: allBytes, wastedBytes: allBytes - allLiveBytes }) };
}

/** Whether the row's octets are at this place: a block whose row has moved, or belongs to another entry by now, is a hole. */
function isAt(rows: EntryRows, row: number, page: number, offset: number): boolean {
  const words = rows.words[chunkOf(row)] as Int32Array;
  return words[wordAt(row) + Word.page] === page && words[wordAt(row) + Word.offset] === offset;
}

function place(rows: EntryRows, row: number, page: number, offset: number): void {
  const words = rows.words[chunkOf(row)] as Int32Array;
  words[wordAt(row) + Word.page] = page;
  words[wordAt(row) + Word.offset] = offset;
}

function pageSizeFor(budgetBytes: number): number {
  const share = 2 ** Math.floor(Math.log2(budgetBytes / minPages));
  return Math.min(Math.max(share, minPageSizeBytes), maxPageSizeBytes);
}
