import { expect, test } from "vitest";
import { netfilter, readElements, readGeneration } from "../../../src/runtime/netfilter.ts";

const hex = (text: string) => Buffer.from(text.replaceAll(/\s/g, ""), "hex");

test("reads the generation of the rules", () => {
  // As Linux 6.18 sends it: the generation, the process that made it, and its name.
  const reply = hex(
    "3000 0000 0f0a 0000 0000 0000 0000 0000 0000 0000 0800 0100 0000 002a 0800 0200 0000 04d2 0800 0300 6e66 7400",
  );
  expect(readGeneration(reply)).toBe(42);
  expect(readGeneration(hex("1400 0000 0200 0000 0000 0000 0000 0000 ffff ffff"))).toBeUndefined();
});

test("reads the elements of a set with their counters, and ends where the reply does", () => {
  // List attributes: table, set, elements; an element: key, expiration, expression (name, data: octets, packets).
  const element = hex(
    `1000 0180 0c00 0100 0102030411000000 0c00 0500 0000000000007530 3400 0780 0c00 0100 636f756e74657200 2400 0280 0c00 0100 0000000000000078 0c00 0200 0000000000000004`,
  );
  const attribute = (type: number, value: Buffer) => {
    const head = Buffer.alloc(4);
    head.writeUInt16LE(4 + value.length, 0);
    head.writeUInt16LE(type, 2);
    return Buffer.concat([head, value]);
  };
  const body = Buffer.concat([hex("0100 0000"), attribute(3, attribute(1, element))]);
  const header = Buffer.alloc(16);
  header.writeUInt32LE(16 + body.length, 0);
  header.writeUInt16LE(0xa0c, 4);
  const reply = Buffer.concat([header, body]);
  expect(readElements(reply)).toEqual([{ key: "0102030411000000", packets: 4, expiresInMs: 30_000 }]);
  for (let size = 0; size < reply.length; size += 1) expect(() => readElements(reply.subarray(0, size))).not.toThrow();
});

test("asks for a set that is not there, or without permission, in vain", () => {
  expect(netfilter.elements("nodens_absent", "absent")).toBeUndefined();
});
