import { describe, expect, test } from "vitest";
import { createHistogram, observe, sizeBoundsBytes, timeBoundsSeconds } from "../../../src/runtime/histogram.ts";

describe("observe", () => {
  test.each([
    [-1, 0],
    [0, 0],
    [1, 0],
    [1.001, 1],
    [10, 1],
    [11, 2],
    [Infinity, 2],
  ])("%f goes into bucket %i of the bounds 1 and 10", (value, bucket) => {
    const histogram = createHistogram([1, 10]);
    observe(histogram, value);
    expect([...histogram.counts]).toEqual([0, 1, 2].map((index) => (index === bucket ? 1 : 0)));
  });

  test("adds up the values and counts them", () => {
    const histogram = createHistogram([1, 10]);
    for (const value of [0.5, 0.25, 5, 50]) observe(histogram, value);
    expect([...histogram.counts]).toEqual([2, 1, 1]);
    expect(histogram.sum).toBe(55.75);
  });

  test("histograms with the same bounds do not share counts", () => {
    const [first, second] = [createHistogram(timeBoundsSeconds), createHistogram(timeBoundsSeconds)];
    observe(first, 1);
    expect(second.counts.every((count) => count === 0)).toBe(true);
    expect(second.sum).toBe(0);
  });
});

test.each([
  ["times", timeBoundsSeconds],
  ["sizes", sizeBoundsBytes],
])("the bounds of %s ascend", (_, bounds) => {
  expect(bounds.toSorted((a, b) => a - b)).toEqual(bounds);
  expect(new Set(bounds).size).toBe(bounds.length);
});

test("the bounds of times go from 0.25 ms to 8.192 s", () => {
  expect(timeBoundsSeconds[0]).toBe(0.000_25);
  expect(timeBoundsSeconds.at(-1)).toBe(8.192);
});
