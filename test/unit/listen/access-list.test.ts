import { describe, expect, test } from "vitest";
import { createAccessList } from "../../../src/listen/access-list.ts";

const nearby = createAccessList([
  { address: "127.0.0.0", prefixLength: 8 },
  { address: "10.0.0.0", prefixLength: 8 },
  { address: "192.168.4.0", prefixLength: 22 },
  { address: "203.0.113.7", prefixLength: 32 },
  { address: "::1", prefixLength: 128 },
  { address: "fe80::", prefixLength: 10 },
  { address: "fc00::", prefixLength: 7 },
]);

describe("who may ask", () => {
  test.each([
    ["127.0.0.1", true],
    ["127.255.255.255", true],
    ["126.255.255.255", false],
    ["128.0.0.0", false],
    ["10.1.2.3", true],
    ["11.0.0.0", false],
    ["192.168.3.255", false],
    ["192.168.4.0", true],
    ["192.168.7.255", true],
    ["192.168.8.0", false],
    ["203.0.113.7", true],
    ["203.0.113.6", false],
    ["::1", true],
    ["::2", false],
    ["fe80::1", true],
    ["fe80::1%eth0", true],
    ["febf:ffff::1", true],
    ["fec0::1", false],
    ["fd12:3456::9", true],
    ["2001:db8::1", false],
    // What a socket reports that is already gone.
    ["", false],
    ["localhost", false],
  ])("%j: %s", (address, may) => {
    expect(nearby(address)).toBe(may);
    // And the same from memory.
    expect(nearby(address)).toBe(may);
  });

  test("is nobody without ranges", () => {
    const nobody = createAccessList([]);
    expect([nobody("127.0.0.1"), nobody("::1")]).toStrictEqual([false, false]);
  });

  test("is everybody if the ranges say so", () => {
    const everybody = createAccessList([
      { address: "0.0.0.0", prefixLength: 0 },
      { address: "::", prefixLength: 0 },
    ]);
    expect([everybody("8.8.8.8"), everybody("2001:db8::1")]).toStrictEqual([true, true]);
  });

  test("is still decided correctly for more addresses than are remembered", () => {
    const list = createAccessList([{ address: "10.0.0.0", prefixLength: 16 }]);
    for (let round = 0; round < 2; round += 1) {
      for (let index = 0; index < 6000; index += 1) {
        const [high, low] = [index >> 8, index & 0xff];
        expect(list(`10.0.${high}.${low}`)).toBe(true);
        expect(list(`10.1.${high}.${low}`)).toBe(false);
      }
    }
  });
});
