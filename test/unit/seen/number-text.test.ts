import { expect, test } from "vitest";
import { ageText, countOf, countText, millisecondsText } from "../../../src/seen/number-text.ts";

test("small numbers keep one digit, large ones are grouped", () => {
  expect([0, 0.44, 5, 12.4, 1240].map(countText)).toEqual(["0", "0.4", "5", "12", "1,240"]);
  expect([countOf(1, "pod"), countOf(2, "pod"), countOf(2, "query", "queries")]).toEqual([
    "1 pod",
    "2 pods",
    "2 queries",
  ]);
});

test("an age is told in its largest unit", () => {
  expect([59.9, 60, 3599, 3600, 86_399, 273_600].map(ageText)).toEqual([
    "59 s",
    "1 min",
    "59 min",
    "1 h",
    "23 h",
    "3 d 4 h",
  ]);
});

test("durations have no digits that say nothing", () => {
  expect([undefined, 0.25, 2, 41.3, 1800, Infinity].map(millisecondsText)).toEqual([
    "–",
    "0.25 ms",
    "2 ms",
    "41 ms",
    "1.8 s",
    "> 8 s",
  ]);
});
