import { describe, expect, test } from "vitest";
import { createAccessList } from "../../../src/listen/access-list.ts";
import { socketAddress } from "../../../src/runtime/socket-address.ts";

const nearby = createAccessList([
  { address: "127.0.0.0", prefixLength: 8 },
  { address: "10.0.0.0", prefixLength: 8 },
  { address: "192.168.4.0", prefixLength: 22 },
  { address: "203.0.113.7", prefixLength: 32 },
  { address: "::1", prefixLength: 128 },
  { address: "fe80::", prefixLength: 10 },
  { address: "fc00::", prefixLength: 7 },
]);

function from(host: string) {
  return socketAddress({ host, port: 40_000 });
}

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
    ["::127.0.0.1", false],
  ])("%j: %s", (address, may) => {
    expect(nearby(from(address))).toBe(may);
  });

  test("is nobody without ranges", () => {
    const nobody = createAccessList([]);
    expect([nobody(from("127.0.0.1")), nobody(from("::1"))]).toStrictEqual([false, false]);
  });

  test("is everybody if the ranges say so", () => {
    const everybody = createAccessList([
      { address: "0.0.0.0", prefixLength: 0 },
      { address: "::", prefixLength: 0 },
    ]);
    expect([everybody(from("8.8.8.8")), everybody(from("2001:db8::1"))]).toStrictEqual([true, true]);
  });

  test("is decided by every bit of a prefix, and by none behind it", () => {
    for (let bits = 1; bits <= 128; bits += 1) {
      const list = createAccessList([{ address: "aaaa:aaaa:aaaa:aaaa:aaaa:aaaa:aaaa:aaaa", prefixLength: bits }]);
      for (let changed = 0; changed < 128; changed += 1) {
        const client = from("aaaa:aaaa:aaaa:aaaa:aaaa:aaaa:aaaa:aaaa");
        client[8 + (changed >> 3)]! ^= 0x80 >> (changed & 7);
        expect([bits, changed, list(client)]).toStrictEqual([bits, changed, changed >= bits]);
      }
    }
  });
});
