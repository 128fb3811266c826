import { expect, test } from "vitest";
import { mayHaveHash, numberBehind, shortReference } from "../../../src/seen/short-reference.ts";

test.each([
  [1, 1],
  [7, 70_000],
  [1_048_575, 1_048_576],
  [1_048_577, 2_000_000],
  [0x3fff_ffff, 0x4000_0000],
])("a reference to the query %i is told from the newest one, %i", (number, newest) => {
  expect(numberBehind(shortReference(number, 0xdead_beef), newest)).toBe(number);
});

test("a reference tells hashes apart by their highest bits", () => {
  const reference = shortReference(123_456, 0xabc0_0001);
  expect(mayHaveHash(reference, 0xabc7_7777 | 0)).toBe(true);
  expect(mayHaveHash(reference, 0xabd0_0001 | 0)).toBe(false);
});
