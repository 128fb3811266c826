import { expect, test } from "vitest";
import { createMomentTable } from "../../../src/search/moment-table.ts";

test("a moment is remembered until it is forgotten or replaced", () => {
  const table = createMomentTable(64);
  expect(table.get(-7)).toBe(0);
  table.set(-7, 5);
  table.set(7, 6);
  expect([table.get(-7), table.get(7)]).toEqual([5, 6]);
  table.set(-7, 8);
  expect(table.get(-7)).toBe(8);
  table.delete(-7);
  table.delete(1);
  expect([table.get(-7), table.get(7)]).toEqual([0, 6]);
});

test("hash 0 is one like any other", () => {
  const table = createMomentTable(8);
  expect(table.get(0)).toBe(0);
  table.set(0, 3);
  expect(table.get(0)).toBe(3);
});

test("the earliest moment makes room where places are taken, and only there", () => {
  const table = createMomentTable(16);
  const clashing = Array.from({ length: 9 }, (_, nth) => 2 * nth);
  table.set(1, 1);
  for (const hash of clashing) table.set(hash, 100 - hash);
  expect(clashing.filter((hash) => table.get(hash) === 0)).toEqual([14]);
  expect(table.get(1)).toBe(1);
});
