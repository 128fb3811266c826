import { expect, test } from "vitest";
import { compareRounds, middleOf } from "../../../bench/hot/compare-rounds.ts";

const base = [100, 102, 98, 101, 99];
const times = (factor: number) => base.map((value) => value * factor);

test("what every round agrees about is a change", () => {
  expect(compareRounds(base, times(1.2))).toMatchObject({ verdict: "slower", ratio: 1.2 });
  expect(compareRounds(base, times(0.8))).toMatchObject({ verdict: "faster", ratio: 0.8 });
});

test("a single round that says otherwise makes it noise", () => {
  expect(compareRounds(base, [...times(1.2).slice(0, 4), 90]).verdict).toBe("same");
});

test("less than 5 % is not a change, nor is anything in fewer than five rounds", () => {
  expect(compareRounds(base, times(1.04)).verdict).toBe("same");
  expect(compareRounds(base.slice(0, 4), times(2).slice(0, 4)).verdict).toBe("same");
});

test("the middle of an even number of values lies between two", () => {
  expect(middleOf([4, 1, 3, 2])).toEqual({ median: 2.5, spread: 3 / 2.5 });
});
