import { describe, expect, test } from "vitest";
import { addressTypes, cacheKey } from "../../../src/cache/key.ts";
import { questionFor } from "../../support/messages/parsed-messages.ts";

function keyOf(name: string, type: number, rrClass = 1, dnssecOk = false, checkingDisabled = false): number {
  return cacheKey(questionFor(name, type).nameHash, type, rrClass, dnssecOk, checkingDisabled);
}

describe("cacheKey", () => {
  test("is equal for equal questions, whatever the spelling of the name", () => {
    expect(keyOf("wWw.Example", 1)).toBe(keyOf("WwW.eXAMPLE", 1));
  });

  test("is a 32-bit integer", () => {
    const key = keyOf("www.example", 0xffff, 0xffff, true, true);
    expect(key | 0).toBe(key);
  });

  test.each([
    ["name", keyOf("web.example", 1)],
    ["label boundary", keyOf("www.exam.ple", 1)],
    ["type", keyOf("www.example", 28)],
    ["the type that stands for both address types", keyOf("www.example", addressTypes)],
    ["class", keyOf("www.example", 1, 3)],
    ["DO", keyOf("www.example", 1, 1, true)],
    ["CD", keyOf("www.example", 1, 1, false, true)],
    ["DO and CD", keyOf("www.example", 1, 1, true, true)],
  ])("differs for another %s", (_, other) => {
    expect(other).not.toBe(keyOf("www.example", 1));
  });

  test("all types, classes 1 to 4, DO and CD of one name have different keys", () => {
    const keys = new Set<number>();
    const types = 4096;
    for (let type = 0; type < types; type += 1) {
      for (let bits = 0; bits < 16; bits += 1) {
        keys.add(cacheKey(0x1234_5678, type, 1 + (bits >> 2), (bits & 2) !== 0, (bits & 1) !== 0));
      }
    }
    expect(keys.size).toBe(types * 16);
  });

  test("the keys of 20,000 names spread evenly over every part of the integer", () => {
    const names = 20_000;
    const keys = Array.from({ length: names }, (_, index) => keyOf(`pod-${index}.web.default.svc.cluster.local`, 1));
    // 20,000 draws out of 2^32 meet 0.05 times on average.
    expect(new Set(keys).size).toBeGreaterThan(names - 4);
    for (const shift of [0, 8, 16, 24]) {
      const counts = new Float64Array(256);
      for (const key of keys) counts[(key >>> shift) & 0xff] = (counts[(key >>> shift) & 0xff] ?? 0) + 1;
      const expected = names / 256;
      const chiSquared = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
      // 255 degrees of freedom: mean 255, deviation 22.6. Names and seed are fixed, so this either always holds or never.
      expect(chiSquared).toBeLessThan(255 + 5 * 22.6);
    }
  });
});
