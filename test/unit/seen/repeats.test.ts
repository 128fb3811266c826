import { expect, test } from "vitest";
import { createRepeats, First, mostWaitMs } from "../../../src/seen/repeats.ts";

test("the entry of another query is not settled", () => {
  const repeats = createRepeats(4);
  const entry = repeats.note(1, 1000, 1, 77, 1, 1000);
  for (let id = 2; id < 6; id += 1) repeats.note(1, 1000, id, 77, 1, 1000);
  repeats.settle(entry, (1000 << 16) | 1, First.answered);
  repeats.note(1, 1000, 5, 77, 1, 6000);
  expect(repeats.noted).toMatchObject({ afterMs: 5000, first: First.waiting });
});

test("counts what is forgotten within 5 s, and nothing that is older", () => {
  const repeats = createRepeats(4);
  for (let id = 0; id < 4; id += 1) repeats.note(1, 1000, id, 77, 1, 1000);
  repeats.note(1, 1000, 9, 77, 1, 7000);
  expect(repeats.forgottenCount()).toBe(0);
  for (let id = 10; id < 14; id += 1) repeats.note(1, 1000, id, 77, 1, 7000);
  expect(repeats.forgottenCount()).toBe(1);
});

test("recognises a query across the end of the 30 bits of a moment", () => {
  const repeats = createRepeats(64);
  const late = 2 ** 30 - 100;
  repeats.note(1, 1000, 1, 77, 1, late);
  repeats.note(1, 1000, 1, 77, 1, late + 5000);
  expect(repeats.noted.afterMs).toBe(5000);
});

test("takes a query with the same numbers for a new one after the longest wait", () => {
  const repeats = createRepeats(64);
  repeats.note(1, 1000, 1, 77, 1, 1000);
  repeats.note(1, 1000, 1, 77, 1, 1001 + mostWaitMs);
  expect(repeats.noted.afterMs).toBe(0);
});
