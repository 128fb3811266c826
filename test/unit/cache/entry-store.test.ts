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
  setRefresh,
  showEntry,
} from "../../../src/cache/entry-store.ts";
import { a, Type } from "../../support/messages/messages.ts";
import { addressEntry, contentOf, entryFor, queryFor, questionFor } from "../../support/messages/parsed-messages.ts";

function createStore(maxSizeBytes = 1_000_000, onEvict = () => {}): EntryStore {
  return createEntryStore("answer", maxSizeBytes, () => false, onEvict);
}

/** The number that an entry has in a store. */
function rowIn(store: EntryStore, entry: CacheEntry): number {
  return store.numbers.peek(keyOfEntry(entry)) ?? -1;
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
  expect(entrySizeBytes(first)).toBeGreaterThan(first.octets.length + 100);
  addEntry(store, first);
  addEntry(store, second);
  expect([evicted, rowIn(store, first), contentOf(shown(store, second))]).toEqual([1, -1, contentOf(second)]);
});
