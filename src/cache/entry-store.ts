/*
 * One store of entries within a budget: fields in rows, octets in an arena, found by an index.
 *
 * Who has to go is found by a clock (Corbató, 1968): a hand goes round the rows, passes those that were used since it last came by, and
 * stops at the first that was not. So a hit marks its own row, and touches no other, as it would in a list in the order of use.
 */
import { Flag, headerSizeBytes } from "../wire/header.ts";
import type { ClientQuery } from "../wire/query.ts";
import { type StoredMessage, storedSizeBytes } from "../wire/stored-message.ts";
import { type Arena, blockOverheadBytes, createArena } from "./arena.ts";
import { type CacheEntry, keyOfEntry } from "./entry.ts";
import { addRow, createEntryIndex, type EntryIndex, findRow, indexSizeBytes, removeRow } from "./entry-index.ts";
import {
  chunkOf,
  createEntryRows,
  type EntryRows,
  Float,
  floatAt,
  none,
  rowSizeBytes,
  Word,
  wordAt,
} from "./entry-rows.ts";
import { cacheKey } from "./key.ts";

/** A store. Entries are found by key (cacheKey); which of the questions with that key an entry answers, the caller finds out. */
export interface EntryStore {
  readonly kind: CacheEntry["kind"];
  readonly maxSizeBytes: number;
  /** By key, the number of an entry: its row. */
  readonly index: EntryIndex;
  readonly rows: EntryRows;
  readonly arena: Arena;
  /** What its entries count for. */
  sizeBytes: number;
  /** The row where the hand stopped. */
  hand: number;
  /** Called for each entry that makes room for another. */
  readonly onEvict: () => void;
}

/** An entry that is filled again and again: what it shows is valid until it shows something else. */
export type EntryView = { -readonly [Field in keyof CacheEntry]: CacheEntry[Field] };

/** The most rows that were used lately and are passed before the next one has to go, whatever it was used for: some microseconds. */
const maxPassed = 256;

/** The bits of a question in a row. */
const Bit = { dnssecOk: 1, checkingDisabled: 2 } as const;

/** In Word.turnAndHits: the entry was used since the hand came by. There are never so many addresses that its turn needs the bit. */
const usedBit = 0x8000_0000 | 0;

/** Creates an empty store. `isHandedOut`: as for createArena. `onEvict` is called for each entry that makes room for another. */
export function createEntryStore(
  kind: CacheEntry["kind"],
  maxSizeBytes: number,
  isHandedOut: (octets: Uint8Array) => boolean,
  onEvict: () => void,
): EntryStore {
  const rows = createEntryRows();
  const arena = createArena(maxSizeBytes, rows, isHandedOut);
  return { kind, maxSizeBytes, index: createEntryIndex(rows), rows, arena, sizeBytes: 0, hand: none, onEvict };
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
  return sizeBytesWith(storedSizeBytes(entry));
}

/** What the arena may waste comes on top of the octets, as an eighth of them. */
function sizeBytesWith(octetsSizeBytes: number): number {
  return octetsSizeBytes + (octetsSizeBytes >> 3) + blockOverheadBytes + rowSizeBytes + indexSizeBytes;
}

/** The number of the entry with this key, or `none`. */
export function rowOfKey(store: EntryStore, key: number): number {
  return findRow(store.index, key);
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
  view.turn = turnOf(turnAndHits);
  view.kind = store.kind;
  view.nameSizeBytes = bitsAndName & 0xffff;
  view.type = classAndType & 0xffff;
  view.class = classAndType >>> 16;
  view.dnssecOk = ((bitsAndName >>> 16) & Bit.dnssecOk) !== 0;
  view.checkingDisabled = ((bitsAndName >>> 16) & Bit.checkingDisabled) !== 0;
  // Its own inverse.
  view.nameHash = cacheKey(words[at + Word.key] as number, view.type, view.class, view.dnssecOk, view.checkingDisabled);
  view.storedAtMs = floats[start + Float.storedAt] as number;
  view.expiresAtMs = floats[start + Float.expiresAt] as number;
  view.refreshAtMs = floats[start + Float.refreshAt] as number;
  view.hits = turnAndHits & 0xffff;
}

function turnOf(turnAndHits: number): number {
  return (turnAndHits & ~usedBit) >>> 16;
}

/** Marks an entry as used, so that the hand passes it the next time. */
export function markUsed(store: EntryStore, row: number): void {
  const words = store.rows.words[chunkOf(row)] as Int32Array;
  const at = wordAt(row) + Word.turnAndHits;
  words[at] = (words[at] as number) | usedBit;
}

/** Counts one more use of an entry, marks it as used, and makes the next of its addresses the first for the next one. */
export function countUse(store: EntryStore, row: number): void {
  const words = store.rows.words[chunkOf(row)] as Int32Array;
  const at = wordAt(row);
  const turnAndHits = words[at + Word.turnAndHits] as number;
  const addressCount = (words[at + Word.addresses] as number) >>> 16;
  const next = turnOf(turnAndHits) + 1;
  const hits = turnAndHits & 0xffff;
  words[at + Word.turnAndHits] = usedBit | ((next < addressCount ? next : 0) << 16) | (hits < 0xffff ? hits + 1 : hits);
}

/** From when on the entry is to be fetched again. */
export function setRefresh(store: EntryStore, row: number, refreshAtMs: number): void {
  (store.rows.floats[chunkOf(row)] as Float64Array)[floatAt(row) + Float.refreshAt] = refreshAtMs;
}

/** Keeps a copy of an entry, in the place of none: its key must be free. One that is larger than the budget is not kept. */
export function addEntry(store: EntryStore, entry: CacheEntry): void {
  const sizeBytes = entrySizeBytes(entry);
  if (sizeBytes > store.maxSizeBytes) return;
  while (store.sizeBytes + sizeBytes > store.maxSizeBytes) evict(store, unusedRow(store));
  const row = store.rows.take();
  writeRow(store.rows, row, entry);
  store.arena.add(row, entry.octets, entry.start, storedSizeBytes(entry));
  store.sizeBytes += sizeBytes;
  const crowdedOut = addRow(store.index, row);
  if (crowdedOut !== none) evict(store, crowdedOut);
}

/** Removes the entry with this key, if there is one. */
export function removeKey(store: EntryStore, key: number): void {
  const row = findRow(store.index, key);
  if (row !== none) remove(store, row);
}

function evict(store: EntryStore, row: number): void {
  remove(store, row);
  store.onEvict();
}

function remove(store: EntryStore, row: number): void {
  const octetsSizeBytes = octetsSizeOf(store.rows, row);
  removeRow(store.index, row);
  store.arena.drop(row, octetsSizeBytes);
  store.rows.release(row);
  store.sizeBytes -= sizeBytesWith(octetsSizeBytes);
}

/** The row that has to go next, of a store that has some. */
function unusedRow(store: EntryStore): number {
  const { rows } = store;
  for (let passed = 0; ; passed += 1) {
    const next = rows.after(store.hand);
    store.hand = next === none ? rows.after(none) : next;
    const words = rows.words[chunkOf(store.hand)] as Int32Array;
    const at = wordAt(store.hand) + Word.turnAndHits;
    const turnAndHits = words[at] as number;
    if ((turnAndHits & usedBit) === 0 || passed === maxPassed) return store.hand;
    words[at] = turnAndHits & ~usedBit;
  }
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
  own[at + Word.key] = keyOfEntry(entry);
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
