import { describe, expect, test } from "vitest";
import { pickQueryId } from "../../../src/flows/query-id.ts";

const sampleCount = 100_000;

/** Pearson's statistic of `values` over `bins` equally likely bins. */
function chiSquare(values: readonly number[], bins: number): number {
  const counts = new Float64Array(bins);
  for (const value of values) counts[value] = (counts[value] ?? 0) + 1;
  const expected = values.length / bins;
  return counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
}

/** Seven standard deviations above the mean: an even generator exceeds it less than once in 10^10 runs. */
function bound(bins: number): number {
  const freedom = bins - 1;
  return freedom + 7 * Math.sqrt(2 * freedom);
}

describe("query IDs", () => {
  const ids = Array.from({ length: sampleCount }, () => pickQueryId(() => false));

  test.each([
    ["low octets", 256, (id: number) => id & 0xff],
    ["high octets", 256, (id: number) => id >> 8],
    ["all 65,536 values", 65_536, (id: number) => id],
  ])("spread evenly over %s", (_what, bins, binOf) => {
    expect(chiSquare(ids.map(binOf), bins)).toBeLessThan(bound(bins));
  });

  test("reveal nothing about the next one: the steps from one to the next spread evenly", () => {
    const steps = ids.slice(1).map((id, index) => ((id - (ids[index] ?? 0)) & 0xffff) >> 8);
    expect(chiSquare(steps, 256)).toBeLessThan(bound(256));
  });

  test("are never taken ones, even if only one is free", () => {
    expect(pickQueryId((id) => id !== 0xbeef)).toBe(0xbeef);
  });

  test("are never taken ones while half of them are taken", () => {
    const taken = new Set<number>();
    while (taken.size < 32_768) taken.add(pickQueryId((id) => taken.has(id)));
    for (let round = 0; round < 10_000; round += 1) expect(taken.has(pickQueryId((id) => taken.has(id)))).toBe(false);
  });
});
