import fc from "fast-check";
import { expect, test } from "vitest";
import { createKeyTable } from "../../../src/resolve/key-table.ts";

test("has what a map would have, whatever comes and goes", () => {
  const step = fc.record({ key: fc.constantFrom("a", "b", "c", "d"), value: fc.nat(9), isDeleted: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      const table = createKeyTable<number>();
      const map = new Map<string, number>();
      for (const { key, value, isDeleted } of steps) {
        if (isDeleted) {
          table.delete(key);
          map.delete(key);
        } else {
          table.set(key, value);
          map.set(key, value);
        }
        expect(["a", "b", "c", "d"].map(table.get)).toEqual(["a", "b", "c", "d"].map((each) => map.get(each)));
        expect(table.size()).toBe(map.size);
      }
    }),
  );
});
