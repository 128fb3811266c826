/*
 * One store of entries within a budget: numbers in lru-cache, which keeps the order and the sizes; fields in rows; octets in an arena.
 */
import { LRUCache } from "lru-cache";
import { Flag, headerSizeBytes } from "../wire/header.ts";
import type { ClientQuery } from "../wire/query.ts";
import { type StoredMessage, storedSizeBytes } from "../wire/stored-message.ts";
import { type Arena, blockOverheadBytes, createArena } from "./arena.ts";
import { type CacheEntry, keyOfEntry } from "./entry.ts";
import { chunkOf, createEntryRows, type EntryRows, Float, floatAt, rowSizeBytes, Word, wordAt } from "./entry-rows.ts";

/** A store. Entries are found by key (cacheKey); which of the questions with that key an entry answers, the caller finds out. */
export interface EntryStore {
  readonly kind: CacheEntry["kind"];
  readonly maxSizeBytes: number;
  /** By key, the number of an entry: its row. */
  readonly numbers: LRUCache<number, number>;
  readonly rows: EntryRows;
  readonly arena: Arena;
}

/** An entry that is filled again and again: what it shows is valid until it shows something else. */
export type EntryView = { -readonly [Field in keyof CacheEntry]: CacheEntry[Field] };

/** What an entry takes besides its row and octets: its places in the map and the lists of lru-cache, when they have just grown. Measured. */
const indexSizeBytes = 150;

/** The bits of a question in a row. */
const Bit = { dnssecOk: 1, checkingDisabled: 2 } as const;

/** Creates an empty store. `isHandedOut`: as for createArena. `onEvict` is called for each entry that makes room for another. */
export function createEntryStore(
  kind: CacheEntry["kind"],
  maxSizeBytes: number,
  isHandedOut: (octets: Uint8Array) => boolean,
  onEvict: () => void,
): EntryStore {
  const rows = createEntryRows();
  const arena = createArena(maxSizeBytes, rows, isHandedOut);
  const numbers = new LRUCache<number, number>({
    maxSize: maxSizeBytes,
    dispose(row, _key, reason) {
      arena.drop(row, octetsSizeOf(rows, row));
      rows.release(row);
      if (reason === "evict") onEvict();
    },
  });
  return { kind, maxSizeBytes, numbers, rows, arena };
}

/** Creates a view that shows nothing yet. */
export function createEntryView(): EntryView {
  return {
    octets: new Uint8Array(0),
    start: 0,
    sizeBytes: 0,
    recordCount: 0,
    questionEnd: 0,
    firstAddress: 0,
    addressCount: 0,
    turn: 0,
    kind: "answer",
    nameHash: 0,
    nameSizeBytes: 0,
    type: 0,
    class: 0,
    dnssecOk: false,
    checkingDisabled: false,
    storedAtMs: 0.5,
    expiresAtMs: 0.5,
    refreshAtMs: 0.5,
    hits: 0,
  };
}

/** The bytes that an entry counts for in its store's budget. */
export function entrySizeBytes(entry: StoredMessage): number {
  return storedSizeBytes(entry) + blockOverheadBytes + rowSizeBytes + indexSizeBytes;
}

/** Whether the entry with this number is fresh, and answers the query as one for `type`: the same folded name, type, class, DO and CD. */
export function answersQuery(store: EntryStore, row: number, query: ClientQuery, type: number, nowMs: number): boolean {
  const chunk = chunkOf(row);
  const words = store.rows.words[chunk] as Int32Array;
  const at = wordAt(row);
  if (nowMs >= ((store.rows.floats[chunk] as Float64Array)[floatAt(row) + Float.expiresAt] as number)) return false;
  if (words[at + Word.classAndType] !== ((query.class << 16) | type)) return false;
  const { octets, sizeBytes } = query.name;
  if (words[at + Word.bitsAndName] !== ((bitsOf(query.dnssecOk, (query.flags & Flag.CD) !== 0) << 16) | sizeBytes))
    return false;
  const own = store.arena.pages[words[at + Word.page] as number] as Uint8Array;
  const start = (words[at + Word.offset] as number) + headerSizeBytes;
  for (let index = 0; index < sizeBytes; index += 1) if (own[start + index] !== octets[index]) return false;
  return true;
}

/** Shows the entry with this number, which is in the store. */
export function showEntry(store: EntryStore, row: number, view: EntryView): void {
  const chunk = chunkOf(row);
  const words = store.rows.words[chunk] as Int32Array;
  const floats = store.rows.floats[chunk] as Float64Array;
  const at = wordAt(row);
  const start = floatAt(row);
  const bitsAndName = words[at + Word.bitsAndName] as number;
  const classAndType = words[at + Word.classAndType] as number;
  const recordsAndQuestion = words[at + Word.recordsAndQuestion] as number;
  const addresses = words[at + Word.addresses] as number;
  const turnAndHits = words[at + Word.turnAndHits] as number;
  view.octets = store.arena.pages[words[at + Word.page] as number] as Uint8Array;
  view.start = words[at + Word.offset] as number;
  view.sizeBytes = words[at + Word.sizeBytes] as number;
  view.recordCount = recordsAndQuestion >>> 16;
  view.questionEnd = recordsAndQuestion & 0xffff;
  view.firstAddress = addresses & 0xffff;
  view.addressCount = addresses >>> 16;
  view.turn = turnAndHits >>> 16;
  view.kind = store.kind;
  view.nameHash = words[at + Word.nameHash] as number;
  view.nameSizeBytes = bitsAndName & 0xffff;
  view.type = classAndType & 0xffff;
  view.class = classAndType >>> 16;
  view.dnssecOk = ((bitsAndName >>> 16) & Bit.dnssecOk) !== 0;
  view.checkingDisabled = ((bitsAndName >>> 16) & Bit.checkingDisabled) !== 0;
  view.storedAtMs = floats[start + Float.storedAt] as number;
  view.expiresAtMs = floats[start + Float.expiresAt] as number;
  view.refreshAtMs = floats[start + Float.refreshAt] as number;
  view.hits = turnAndHits & 0xffff;
}

/** Counts one more use of an entry, and makes the next of its addresses the first for the next one. */
export function countUse(store: EntryStore, row: number): void {
  const words = store.rows.words[chunkOf(row)] as Int32Array;
  const at = wordAt(row);
  const turnAndHits = words[at + Word.turnAndHits] as number;
  const addressCount = (words[at + Word.addresses] as number) >>> 16;
  const next = (turnAndHits >>> 16) + 1;
  const hits = turnAndHits & 0xffff;
  words[at + Word.turnAndHits] = ((next < addressCount ? next : 0) << 16) | (hits < 0xffff ? hits + 1 : hits);
}

/** From when on the entry is to be fetched again. */
export function setRefresh(store: EntryStore, row: number, refreshAtMs: number): void {
  (store.rows.floats[chunkOf(row)] as Float64Array)[floatAt(row) + Float.refreshAt] = refreshAtMs;
}

/** Keeps a copy of an entry, in the place of none: its key must be free. One that is larger than the budget is not kept. */
export function addEntry(store: EntryStore, entry: CacheEntry): void {
  const size = entrySizeBytes(entry);
  if (size > store.maxSizeBytes) return;
  const row = store.rows.take();
  // First: it makes room.
  store.numbers.set(keyOfEntry(entry), row, { size });
  writeRow(store.rows, row, entry);
  store.arena.add(row, entry.octets, entry.start, storedSizeBytes(entry));
}

function writeRow({ words, floats }: EntryRows, row: number, entry: CacheEntry): void {
  const own = words[chunkOf(row)] as Int32Array;
  const moments = floats[chunkOf(row)] as Float64Array;
  const at = wordAt(row);
  const start = floatAt(row);
  own[at + Word.sizeBytes] = entry.sizeBytes;
  own[at + Word.bitsAndName] = (bitsOf(entry.dnssecOk, entry.checkingDisabled) << 16) | entry.nameSizeBytes;
  own[at + Word.classAndType] = (entry.class << 16) | entry.type;
  own[at + Word.recordsAndQuestion] = (entry.recordCount << 16) | entry.questionEnd;
  own[at + Word.nameHash] = entry.nameHash;
  own[at + Word.addresses] = (entry.addressCount << 16) | entry.firstAddress;
  own[at + Word.turnAndHits] = (entry.turn << 16) | entry.hits;
  moments[start + Float.storedAt] = entry.storedAtMs;
  moments[start + Float.expiresAt] = entry.expiresAtMs;
  moments[start + Float.refreshAt] = entry.refreshAtMs;
}

function bitsOf(dnssecOk: boolean, checkingDisabled: boolean): number {
  return (dnssecOk ? Bit.dnssecOk : 0) | (checkingDisabled ? Bit.checkingDisabled : 0);
}

function octetsSizeOf({ words }: EntryRows, row: number): number {
  const own = words[chunkOf(row)] as Int32Array;
  const at = wordAt(row);
  return (own[at + Word.sizeBytes] as number) + 2 * ((own[at + Word.recordsAndQuestion] as number) >>> 16);
}
