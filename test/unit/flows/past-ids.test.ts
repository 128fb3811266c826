import { expect, test } from "vitest";
import { createPastIds } from "../../../src/flows/past-ids.ts";

test("the last 1,024 IDs are known, and no older ones", () => {
  const past = createPastIds();
  for (let id = 0; id < 65_536; id += 1) past.add(id);
  const known = Array.from({ length: 65_536 }, (_, id) => id).filter((id) => past.has(id));
  expect(known).toEqual(Array.from({ length: 1024 }, (_, index) => 65_536 - 1024 + index));
});

test("an empty set has none", () => {
  expect([0, 1, 65_535].map(createPastIds().has)).toEqual([false, false, false]);
});
