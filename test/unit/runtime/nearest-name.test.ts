import { expect, test } from "vitest";
import { nearestName } from "../../../src/runtime/nearest-name.ts";

const names = ["addresses", "allow", "maxUdpReplyBytes", "tcp"];

test.each([
  ["adresses", "addresses"],
  ["ADDRESSES", "addresses"],
  ["alow", "allow"],
  ["maxUDPReplySize", "maxUdpReplyBytes"],
  ["tpc", "tcp"],
  ["completelyDifferent", undefined],
  ["x".repeat(100_000), undefined],
])("%.20s probably means %s", (name, expected) => {
  expect(nearestName(name, names)).toBe(expected);
});

test("no name is nearest if there are no candidates", () => {
  expect(nearestName("tcp", [])).toBeUndefined();
});
