import { expect, test } from "vitest";
import { createLately } from "../../../src/seen/lately.ts";

/** Takes in queries of these moments, and returns what was said to each. */
function sinceOf(moments: readonly number[]): number[] {
  const lately = createLately(900);
  return moments.map((moment, index) => lately.since(index + 1, moment | 0));
}

test("says of all from a number on that they came less than the time before, and leaves out fewer than came in half of it", () => {
  const moments = Array.from({ length: 400 }, (_, index) => 1000 + index * 10);
  for (const [index, since] of sinceOf(moments).entries()) {
    const moment = moments[index] as number;
    const early = moments.slice(0, since - 1);
    expect(moments.slice(since - 1, index + 1).every((other) => moment - other < 900)).toBe(true);
    expect(early.every((other) => moment - other >= 450)).toBe(true);
  }
});

test("says it of none before a pause", () => {
  expect(sinceOf([1000, 1001, 1901, 5000]).slice(2)).toEqual([3, 4]);
});

test("does not say it where a query lies between that had waited in its socket", () => {
  const moments = [5000, 5001, 5002, 2000, 5003, 5004, 5005];
  expect(sinceOf(moments)).toEqual([1, 1, 1, 1, 5, 5, 5]);
});

test("does not say it of a query that had waited and came right after another", () => {
  expect(sinceOf([5000, 4600, 5400, 5499, 5501])).toEqual([1, 1, 1, 1, 4]);
});

test("goes on across the end of the 32 bits of a moment, and where numbers begin anew", () => {
  expect(sinceOf([2 ** 31 - 5000, 2 ** 31 - 100, 2 ** 31 + 100, 2 ** 31 + 1000])).toEqual([1, 2, 2, 4]);
  const lately = createLately(900);
  lately.since(2 ** 30, 1000);
  expect(lately.since(1, 3000)).toBe(1);
});
