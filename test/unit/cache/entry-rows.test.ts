import { expect, test } from "vitest";
import { chunkOf, createEntryRows, type EntryRows, none, Word, wordAt } from "../../../src/cache/entry-rows.ts";

/** Takes a row and gives it a page, as the arena does. */
function takePlaced(rows: EntryRows): number {
  const row = rows.take();
  (rows.words[chunkOf(row)] as Int32Array)[wordAt(row) + Word.page] = 0;
  return row;
}

function release(rows: EntryRows, row: number): void {
  (rows.words[chunkOf(row)] as Int32Array)[wordAt(row) + Word.page] = none;
  rows.release(row);
}

function allOf(rows: EntryRows): number[] {
  const found: number[] = [];
  for (let row = rows.after(none); row !== none; row = rows.after(row)) found.push(row);
  return found;
}

test("rows in use follow one another, over the ends of chunks and past what was given up", () => {
  const rows = createEntryRows();
  expect(allOf(rows)).toEqual([]);
  const taken = Array.from({ length: 10_000 }, () => takePlaced(rows));
  const kept = taken.filter((row) => row % 3 === 1 && chunkOf(row) !== 1);
  for (const row of taken) if (!kept.includes(row)) release(rows, row);
  expect(allOf(rows)).toEqual(kept);
});

test("a chunk that nobody uses is given up, and its number used again", () => {
  const rows = createEntryRows();
  const taken = Array.from({ length: 10_000 }, () => takePlaced(rows));
  for (const row of taken) if (chunkOf(row) === 0) release(rows, row);
  expect(rows.words.map(({ length }) => length > 0)).toEqual([false, true, true]);
  const again = Array.from({ length: 10_000 }, () => takePlaced(rows));
  expect(new Set([...again, ...allOf(rows)]).size).toBe(allOf(rows).length);
  expect(rows.words.length).toBe(4);
});
