import { expect, test } from "vitest";
import { judge, middle, ratio } from "../../../bench/peers/judge.ts";
import { readResults, type RowResult } from "../../../bench/peers/results.ts";
import { rows } from "../../../bench/peers/rows.ts";

const result: RowResult = {
  date: "2026-11-27",
  revision: "abcdef0",
  absent: [],
  rounds: {
    nodens: [{ cpuMicros: 4 }, { cpuMicros: 5 }, { cpuMicros: 9 }],
    unbound: [{ cpuMicros: 8 }, { cpuMicros: 5 }, { cpuMicros: 10 }],
  },
};

test("a ratio is the middle of those of single rounds, not that of two middles", () => {
  expect(middle(result, "nodens", "cpuMicros")).toBe(5);
  expect(middle(result, "unbound", "cpuMicros")).toBe(8);
  expect(ratio(result, "nodens", "unbound", "cpuMicros")).toBe(0.9);
});

test("a goal is reached up to its limit", () => {
  const goal = { series: "nodens", measure: "cpuMicros", of: "unbound" } as const;
  expect(judge({ ...goal, most: 0.9 }, "hit", { hit: result })?.isMet).toBe(true);
  expect(judge({ ...goal, most: 0.89 }, "hit", { hit: result })?.isMet).toBe(false);
});

test("a goal beside what was not measured is neither reached nor missed", () => {
  const goal = { series: "nodens", measure: "cpuMicros", most: 1, of: "dnsdist" } as const;
  expect(judge(goal, "hit", { hit: result })).toBeUndefined();
  expect(judge(goal, "tcp", { hit: result })).toBeUndefined();
});

test("rows have names of their own, and goals name what their row measures", () => {
  expect(new Set(rows.map(({ name }) => name)).size).toBe(rows.length);
  for (const { name, series, goals } of rows) {
    const labels = series.map(({ label }) => label);
    for (const goal of goals) {
      expect(labels, name).toContain(goal.series);
      if (goal.of === undefined) continue;
      const of = goal.ofRow === undefined ? series : rows.find((row) => row.name === goal.ofRow)?.series;
      expect(
        of?.map(({ label }) => label),
        name,
      ).toContain(goal.of);
    }
  }
});

test("what is kept of measurements is of rows and series that there are", () => {
  for (const [name, { rounds, absent }] of Object.entries(readResults()?.rows ?? {})) {
    const row = rows.find((each) => each.name === name);
    const labels = row?.series.map(({ label }) => label) ?? [];
    expect(labels, name).toEqual(expect.arrayContaining(Object.keys(rounds)));
    if (absent.length === 0) expect(Object.keys(rounds), name).toHaveLength(labels.length);
  }
});
