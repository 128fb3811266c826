import { describe, expect, test } from "vitest";
import { type CacheEntry, keyOfEntry } from "../../../src/cache/entry.ts";
import {
  addEntry,
  answersQuery,
  countUse,
  createEntryStore,
  createEntryView,
  type EntryStore,
  entrySizeBytes,
  markUsed,
  removeKey,
  rowOfKey,
  setRefresh,
  showEntry,
} from "../../../src/cache/entry-store.ts";
import { none } from "../../../src/cache/entry-rows.ts";
import { createChance } from "../../../src/seen/chance.ts";
import { a, Type } from "../../support/messages/messages.ts";
import { addressEntry, contentOf, entryFor, queryFor, questionFor } from "../../support/messages/parsed-messages.ts";

function createStore(maxSizeBytes = 1_000_000, onEvict = () => {}): EntryStore {
  return createEntryStore("answer", maxSizeBytes, () => false, onEvict);
}

/** The number that an entry has in a store. */
function rowIn(store: EntryStore, entry: CacheEntry): number {
  return rowOfKey(store, keyOfEntry(entry));
}

function shown(store: EntryStore, entry: CacheEntry): CacheEntry {
  const view = createEntryView();
  showEntry(store, rowIn(store, entry), view);
  return view;
}

describe("answersQuery", () => {
  const entry = addressEntry("www.example", 30);
  const store = createStore();
  addEntry(store, entry);
  const row = rowIn(store, entry);

  test("holds for the same question in any spelling", () => {
    expect(answersQuery(store, row, queryFor("WWW.example", Type.A), Type.A, 0)).toBe(true);
  });

  test("A13: holds without RD too: what is in the cache may be given", () => {
    const query = queryFor("www.example", Type.A, { recursionDesired: false });
    expect(answersQuery(store, row, query, Type.A, 0)).toBe(true);
  });

  test("holds until the entry expires", () => {
    const query = queryFor("www.example", Type.A);
    expect([29_999.9, 30_000].map((nowMs) => answersQuery(store, row, query, Type.A, nowMs))).toEqual([true, false]);
  });

  test.each([
    ["name of the same size", queryFor("web.example", Type.A)],
    ["name that continues it", queryFor("www.example.org", Type.A)],
    ["name that it continues", queryFor("www", Type.A)],
    ["type", queryFor("www.example", Type.AAAA)],
    ["class", queryFor("www.example", Type.A, { class: 3 })],
    ["DO", queryFor("www.example", Type.A, { dnssecOk: true })],
    ["CD", queryFor("www.example", Type.A, { checkingDisabled: true })],
  ])("does not hold for another %s", (_, query) => {
    expect(answersQuery(store, row, query, query.type, 0)).toBe(false);
  });
});

test.each([
  ["an ordinary one", addressEntry("www.example", 30, 1000.25)],
  [
    "one with DO and CD, of an unusual class",
    addressEntry("x.example", 30, 7, { dnssecOk: true, checkingDisabled: true, class: 0xff_ff }),
  ],
  [
    "one of two thousand addresses",
    entryFor(questionFor("many.example", Type.A), {
      answers: Array.from({ length: 2000 }, () => a("many.example", "192.0.2.1", 5)),
    }),
  ],
])("what is stored is shown as it was: %s", (_, entry) => {
  const store = createStore();
  addEntry(store, entry);
  expect(contentOf(shown(store, entry))).toEqual(contentOf(entry));
});

test("uses are counted, and the addresses take turns", () => {
  const answers = [1, 2, 3].map((last) => a("web.example", `192.0.2.${last}`, 5));
  const entry = entryFor(questionFor("web.example", Type.A), { answers });
  const store = createStore();
  addEntry(store, entry);
  const seen = [1, 2, 3, 4].map(() => {
    countUse(store, rowIn(store, entry));
    const { turn, hits } = shown(store, entry);
    return [turn, hits];
  });
  expect(seen).toEqual([
    [1, 1],
    [2, 2],
    [0, 3],
    [1, 4],
  ]);
});

test("the moment of the refresh is moved", () => {
  const entry = addressEntry("www.example", 30);
  const store = createStore();
  addEntry(store, entry);
  setRefresh(store, rowIn(store, entry), Infinity);
  expect(shown(store, entry).refreshAtMs).toBe(Infinity);
});

test("an entry counts for more than its octets, and what makes room is counted", () => {
  const [first, second] = [addressEntry("a.example", 30), addressEntry("b.example", 30)];
  let evicted = 0;
  const store = createStore(1.5 * entrySizeBytes(first), () => (evicted += 1));
  expect(entrySizeBytes(first)).toBeGreaterThan(first.octets.length + 70);
  addEntry(store, first);
  addEntry(store, second);
  expect([evicted, rowIn(store, first), contentOf(shown(store, second))]).toEqual([1, -1, contentOf(second)]);
});

describe("who has to go", () => {
  const entries = Array.from({ length: 1000 }, (_, index) => addressEntry(`n${1000 + index}.example`, 30));
  const sizeBytes = entrySizeBytes(entries[0] as CacheEntry);
  /** Which of the entries a store has. */
  const inStore = (store: EntryStore) =>
    entries.flatMap((entry, index) => (rowIn(store, entry) === none ? [] : [index]));
  const range = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => from + index);

  test("what was used stays, however much comes that nobody uses", () => {
    const store = createStore(100 * sizeBytes);
    const [used, others] = [entries.slice(0, 50), entries.slice(50, 900)];
    for (const entry of used) addEntry(store, entry);
    for (const [index, entry] of others.entries()) {
      addEntry(store, entry);
      // Each comes to its turn once while as many others come as have room.
      countUse(store, rowIn(store, used[index % used.length] as CacheEntry));
    }
    expect(inStore(store)).toEqual([...range(0, 50), ...range(850, 900)]);
  });

  test("what is not used any more goes when the hand comes by again", () => {
    const store = createStore(100 * sizeBytes);
    for (const entry of entries.slice(0, 100)) {
      addEntry(store, entry);
      markUsed(store, rowIn(store, entry));
    }
    for (const entry of entries.slice(100, 300)) addEntry(store, entry);
    expect(inStore(store)).toEqual(range(200, 300));
  });

  test("of those that nobody uses the one that came first goes first", () => {
    const store = createStore(100 * sizeBytes);
    for (const entry of entries.slice(0, 250)) addEntry(store, entry);
    expect(inStore(store)).toEqual(range(150, 250));
  });

  test("where all are used, the hand passes 256 and stops", () => {
    const store = createStore(600 * sizeBytes);
    for (const entry of entries.slice(0, 600)) {
      addEntry(store, entry);
      markUsed(store, rowIn(store, entry));
    }
    addEntry(store, entries[999] as CacheEntry);
    expect(inStore(store)).toEqual([...range(0, 256), ...range(257, 600), 999]);
  });
});

test("the memory that a full store takes is its budget", () => {
  const budgetBytes = 4 * 2 ** 20;
  const store = createStore(budgetBytes);
  const { below } = createChance(1);
  for (let serial = 0; serial < 60_000; serial += 1) {
    const entry = addressEntry(`service-${below(40_000)}.team-${below(9)}.example`, 30);
    removeKey(store, keyOfEntry(entry));
    addEntry(store, entry);
    if (below(2) === 0) markUsed(store, rowIn(store, entry));
  }
  const rowsBytes = store.rows.words.reduce((sum, { byteLength }) => sum + byteLength, 0);
  const bucketsBytes = 4 * store.index.bucketCount;
  const allBytes = rowsBytes + bucketsBytes + store.arena.usage().sizeBytes;
  expect(store.sizeBytes).toBeGreaterThan(0.99 * budgetBytes);
  // The last chunk of rows may be nearly empty.
  expect(allBytes).toBeLessThan(budgetBytes + 256 * 1024);
});
