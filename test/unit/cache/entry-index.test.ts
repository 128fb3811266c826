/*
 * The index against a model that is a plain map.
 */
import { describe, expect, test } from "vitest";
import { addRow, createEntryIndex, type EntryIndex, findRow, removeRow } from "../../../src/cache/entry-index.ts";
import { chunkOf, createEntryRows, none, Word, wordAt } from "../../../src/cache/entry-rows.ts";
import { createChance } from "../../../src/seen/chance.ts";

/** An index with rows that have nothing but a key. */
function createIndexOfKeys() {
  const rows = createEntryRows();
  const index = createEntryIndex(rows);
  return {
    index,
    add(key: number): { row: number; crowdedOut: number } {
      const row = rows.take();
      (rows.words[chunkOf(row)] as Int32Array)[wordAt(row) + Word.key] = key;
      return { row, crowdedOut: addRow(index, row) };
    },
    remove(row: number): void {
      removeRow(index, row);
      rows.release(row);
    },
  };
}

function bucketsOf({ bucketCount }: EntryIndex): number {
  return bucketCount;
}

describe("a million random additions and removals", () => {
  test.each<[string, (serial: number, random: number) => number]>([
    ["random keys", (_, random) => random | 0],
    ["keys that differ in their low bits", (serial) => serial],
    ["keys that differ in their high bits", (serial) => (serial << 16) | (serial >>> 16)],
    [
      "keys of the types of few names",
      (serial, random) => Math.imul(random & 15, 0x0123_4567) ^ Math.imul(serial << 16, 0x9e37_79b1),
    ],
  ])("%s: every key is found as long as it is there, and no other", (_, keyOf) => {
    const { below } = createChance(1);
    const { index, add, remove } = createIndexOfKeys();
    const model = new Map<number, number>();
    const keys: number[] = [];
    let wrong = 0;
    let mostAtOnce = 0;
    let crowded = 0;
    for (let serial = 0; serial < 500_000; serial += 1) {
      const before = bucketsOf(index);
      // It grows to ten thousands of entries and shrinks again, several times.
      if (keys.length > 0 && below(100) < (Math.floor(serial / 60_000) % 2 === 0 ? 20 : 80)) {
        const at = below(keys.length);
        const key = keys[at] as number;
        const row = findRow(index, key);
        if (row !== model.get(key)) wrong += 1;
        keys[at] = keys.at(-1) as number;
        keys.pop();
        model.delete(key);
        remove(row);
        if (findRow(index, key) !== none) wrong += 1;
      } else {
        const key = keyOf(serial, below(2 ** 32));
        if (!model.has(key)) {
          const { row, crowdedOut } = add(key);
          model.set(key, row);
          keys.push(key);
          if (crowdedOut !== none) crowded += 1;
        }
      }
      mostAtOnce = Math.max(mostAtOnce, Math.abs(bucketsOf(index) - before));
      if (index.entryCount !== model.size) wrong += 1;
      const sought = below(2 ** 32) | 0;
      if (findRow(index, sought) !== (model.get(sought) ?? none)) wrong += 1;
    }
    for (const [key, row] of model) if (findRow(index, key) !== row) wrong += 1;
    expect({ wrong, crowded }).toEqual({ wrong: 0, crowded: 0 });
    // It never moves more than a few entries at once, and keeps pace all the same.
    expect(mostAtOnce).toBeLessThanOrEqual(4);
    for (const row of model.values()) remove(row);
    expect(index).toMatchObject({ entryCount: 0, bucketCount: 64 });
    expect(index.chunks.length).toBeLessThanOrEqual(2);
  });
});

test("there are at least two buckets for each entry, and at most four", () => {
  const { index, add, remove } = createIndexOfKeys();
  const rows = Array.from({ length: 1000 }, (_, key) => add(key).row);
  const whenFull = index.bucketCount;
  for (const row of rows.splice(0, 900)) remove(row);
  expect([whenFull, index.bucketCount]).toEqual([2000, 400]);
});

test("no bucket holds more than twelve: the one that has been there longest is named", () => {
  const { index, add } = createIndexOfKeys();
  const inBucket: number[] = [];
  for (let key = 0; inBucket.length < 13; key += 1) {
    const probe = createIndexOfKeys();
    probe.add(key);
    if (probe.index.chunks[0]?.[0] !== 0) inBucket.push(key);
  }
  const added = inBucket.map(add);
  expect(added.map(({ crowdedOut }) => crowdedOut)).toEqual([...Array.from({ length: 12 }, () => none), added[0]?.row]);
  expect(index.bucketCount).toBe(64);
});
