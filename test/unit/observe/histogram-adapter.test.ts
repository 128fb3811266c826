import { expect, test } from "vitest";
import { createHistogramAdapter } from "../../../src/observe/histogram-adapter.ts";
import { createHistogram, observe } from "../../../src/runtime/histogram.ts";

const head = { name: "wait_seconds", help: "A wait.", bounds: [0.1, 1] };

test("buckets become cumulative, the last one +Inf, with sum and count", () => {
  const histogram = createHistogram(head.bounds);
  for (const value of [0.1, 0.5, 0.5, 4]) observe(histogram, value);
  const adapter = createHistogramAdapter(head, (add) => add({ to: "a" }, histogram));
  expect(adapter.get()).toEqual({
    name: "wait_seconds",
    help: "A wait.",
    type: "histogram",
    aggregator: "sum",
    values: [
      { metricName: "wait_seconds_bucket", labels: { le: 0.1, to: "a" }, value: 1 },
      { metricName: "wait_seconds_bucket", labels: { le: 1, to: "a" }, value: 3 },
      { metricName: "wait_seconds_bucket", labels: { le: "+Inf", to: "a" }, value: 4 },
      { metricName: "wait_seconds_sum", labels: { to: "a" }, value: 5.1 },
      { metricName: "wait_seconds_count", labels: { to: "a" }, value: 4 },
    ],
  });
});

test("histograms with the same labels are added up, and none of them is changed", () => {
  const histogram = createHistogram(head.bounds);
  observe(histogram, 0.5);
  const adapter = createHistogramAdapter(head, (add) => {
    add({ to: "a" }, histogram);
    add({ to: "b" });
    add({ to: "a" }, histogram);
  });
  const counts = () => adapter.get().values.filter(({ metricName }) => metricName === "wait_seconds_count");
  expect(counts()).toEqual(counts());
  expect(counts().map(({ labels, value }) => [labels["to"], value])).toEqual([
    ["a", 2],
    ["b", 0],
  ]);
  expect([...histogram.counts]).toEqual([0, 1, 0]);
});
