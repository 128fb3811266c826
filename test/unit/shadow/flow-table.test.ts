import { expect, test } from "vitest";
import { createFlowTable } from "../../../src/shadow/flow-table.ts";

test("a flow begins once, and again when its entry is gone", () => {
  const flows = createFlowTable(64);
  expect(flows.begins("pod 1", 0)).toBe(true);
  expect(flows.begins("pod 2", 0)).toBe(true);
  expect(flows.begins("pod 1", 60_000)).toBe(false);
  // Each packet gives the entry its whole life again.
  expect(flows.begins("pod 1", 179_000)).toBe(false);
  expect(flows.begins("pod 1", 299_000)).toBe(true);
});

test("of more flows than there is room for, those are recognised that were used last", () => {
  const flows = createFlowTable(64);
  for (let index = 0; index < 10_000; index += 1) flows.begins(`pod ${index}`, index * 10);
  expect(flows.begins("pod 9999", 100_000)).toBe(false);
});
