/*
 * Finds the entries of a store by their keys: a hash table in which a bucket is a chain of rows, each of which names the next one. It grows
 * and shrinks by single buckets (linear hashing: Litwin, 1980), so it never stops to copy what it holds, and takes memory in chunks.
 *
 *      0   1   2   3 | 4   5 | (6   7)      six buckets, `whole` is 4: bucket 2 is yet to be split into 2 and 6, and 3 into 3 and 7
 *
 * The key of an entry is in its row, so that finding one that is there touches two lines of the processor's cache: its bucket and its row.
 */
import { chunkOf, type EntryRows, none, Word, wordAt } from "./entry-rows.ts";

/** The index of one store. */
export interface EntryIndex {
  readonly rows: EntryRows;
  /** The first row of each bucket and one, so that memory without anything in it is empty buckets. */
  readonly chunks: Int32Array[];
  /** How many buckets there are, and the largest power of two that is not more. */
  bucketCount: number;
  whole: number;
  entryCount: number;
}

/** Buckets to a chunk, as a power of two. */
const chunkBits = 15;
const minBuckets = 64;
/** Buckets for each entry: at least so many, and so many before it shrinks. Half of the buckets are empty at least. */
const minShare = 2;
const maxShare = 4;

/** What an entry takes of a store's budget here. */
export const indexSizeBytes = minShare * Int32Array.BYTES_PER_ELEMENT;

/** The longest chain. Keys are hashed under a secret, and chance alone makes a longer one of one bucket in ten thousand million. */
const maxChain = 12;

/** Creates an index of nothing. */
export function createEntryIndex(rows: EntryRows): EntryIndex {
  return { rows, chunks: [newChunk()], bucketCount: minBuckets, whole: minBuckets, entryCount: 0 };
}

/** The row with this key, or `none`. */
export function findRow(index: EntryIndex, key: number): number {
  const { words } = index.rows;
  let row = firstOf(index, bucketOf(index, key));
  while (row !== none) {
    const own = words[chunkOf(row)] as Int32Array;
    const at = wordAt(row);
    if (own[at + Word.key] === key) return row;
    row = own[at + Word.next] as number;
  }
  return none;
}

/**
 * Adds a row, whose key is written, and which no other row has. Returns the row that has been longest in the same bucket if there are too many
 * now, which is to be removed, or `none`.
 */
export function addRow(index: EntryIndex, row: number): number {
  const bucket = bucketOf(index, keyOf(index, row));
  setNext(index, row, firstOf(index, bucket));
  setFirst(index, bucket, row);
  index.entryCount += 1;
  while (index.bucketCount < minShare * index.entryCount) split(index);
  return lastOfLong(index, bucketOf(index, keyOf(index, row)));
}

/** Removes a row that was added. */
export function removeRow(index: EntryIndex, row: number): void {
  const bucket = bucketOf(index, keyOf(index, row));
  const next = nextOf(index, row);
  let before = firstOf(index, bucket);
  if (before === row) setFirst(index, bucket, next);
  else {
    while (nextOf(index, before) !== row) before = nextOf(index, before);
    setNext(index, before, next);
  }
  index.entryCount -= 1;
  while (index.bucketCount > Math.max(minBuckets, maxShare * index.entryCount)) merge(index);
}

/** Adds a bucket, and moves there what belongs to it, all of which is in one other bucket. */
function split(index: EntryIndex): void {
  const added = index.bucketCount;
  const old = added - index.whole;
  if (added >> chunkBits === index.chunks.length) index.chunks.push(newChunk());
  index.bucketCount += 1;
  if (index.bucketCount === 2 * index.whole) index.whole = index.bucketCount;
  let row = firstOf(index, old);
  setFirst(index, old, none);
  // The last of each that was put there: the order stays.
  let [lastOld, lastAdded]: [number, number] = [none, none];
  while (row !== none) {
    const next = nextOf(index, row);
    setNext(index, row, none);
    const isMoved = bucketOf(index, keyOf(index, row)) === added;
    const last = isMoved ? lastAdded : lastOld;
    if (last === none) setFirst(index, isMoved ? added : old, row);
    else setNext(index, last, row);
    if (isMoved) lastAdded = row;
    else lastOld = row;
    row = next;
  }
}

/** Takes the last bucket away, and puts what is in it back where it would be without. */
function merge(index: EntryIndex): void {
  const taken = index.bucketCount - 1;
  if (index.bucketCount === index.whole) index.whole /= 2;
  index.bucketCount = taken;
  const moved = firstOf(index, taken);
  setFirst(index, taken, none);
  if (taken >> chunkBits < index.chunks.length - 1) index.chunks.pop();
  if (moved === none) return;
  const left = taken - index.whole;
  let last = moved;
  while (nextOf(index, last) !== none) last = nextOf(index, last);
  setNext(index, last, firstOf(index, left));
  setFirst(index, left, moved);
}

/** The last row of a chain that is too long. */
function lastOfLong(index: EntryIndex, bucket: number): number {
  let length = 0;
  let last = none;
  for (let row = firstOf(index, bucket); row !== none; row = nextOf(index, row)) {
    length += 1;
    last = row;
  }
  return length > maxChain ? last : none;
}

function bucketOf(index: EntryIndex, key: number): number {
  const bucket = spread(key) & (2 * index.whole - 1);
  return bucket < index.bucketCount ? bucket : bucket - index.whole;
}

/**
 * Every bit of the result depends on every bit of the key (the end of MurmurHash3; Appleby): the types of a name differ in few bits, and those
 * who ask choose them.
 */
function spread(key: number): number {
  let hash = Math.imul(key ^ (key >>> 16), 0x85eb_ca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35);
  return hash ^ (hash >>> 16);
}

function newChunk(): Int32Array {
  return new Int32Array(1 << chunkBits);
}

function firstOf({ chunks }: EntryIndex, bucket: number): number {
  return ((chunks[bucket >> chunkBits] as Int32Array)[bucket & ((1 << chunkBits) - 1)] as number) - 1;
}

function setFirst({ chunks }: EntryIndex, bucket: number, row: number): void {
  (chunks[bucket >> chunkBits] as Int32Array)[bucket & ((1 << chunkBits) - 1)] = row + 1;
}

function keyOf({ rows }: EntryIndex, row: number): number {
  return (rows.words[chunkOf(row)] as Int32Array)[wordAt(row) + Word.key] as number;
}

function nextOf({ rows }: EntryIndex, row: number): number {
  return (rows.words[chunkOf(row)] as Int32Array)[wordAt(row) + Word.next] as number;
}

function setNext({ rows }: EntryIndex, row: number, next: number): void {
  (rows.words[chunkOf(row)] as Int32Array)[wordAt(row) + Word.next] = next;
}
