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
])("%.20s is taken for %s", (name, expected) => {
  expect(nearestName(name, names)).toBe(expected);
});

test("nothing is nearest to a name when there is no candidate", () => {
  expect(nearestName("tcp", [])).toBeUndefined();
});
