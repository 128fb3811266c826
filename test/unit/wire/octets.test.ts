import { expect, test } from "vitest";
import { briefOctets, readU16, readU32, readU8, writeU16, writeU32 } from "../../../src/wire/octets.ts";
import { hex, toHex } from "./build-message.ts";

test.each([0, 1, 0x7f, 0x80, 0xff])("readU8 reads %i", (value) => {
  expect(readU8(Uint8Array.of(0xaa, value, 0xaa), 1)).toBe(value);
});

test.each([
  [0, "0000"],
  [0x0100, "0100"],
  [0x8000, "8000"],
  [0xffff, "ffff"],
])("16 bits of %i are %s", (value, digits) => {
  const octets = hex("aaaaaaaa");
  writeU16(octets, 1, value);
  expect(toHex(octets)).toBe(`aa${digits}aa`);
  expect(readU16(octets, 1)).toBe(value);
});

test.each([
  [0, "00000000"],
  [0x0102_0304, "01020304"],
  // The top bit must not make a TTL negative.
  [0x8000_0000, "80000000"],
  [0xffff_ffff, "ffffffff"],
])("32 bits of %i are %s", (value, digits) => {
  const octets = hex("aaaaaaaaaaaa");
  writeU32(octets, 1, value);
  expect(toHex(octets)).toBe(`aa${digits}aa`);
  expect(readU32(octets, 1)).toBe(value);
});

test("writeU16 takes the low 16 bits", () => {
  const octets = new Uint8Array(2);
  writeU16(octets, 0, 0x1_2345);
  expect(toHex(octets)).toBe("2345");
});

test("brief octets share memory, and nobody writes into another's", () => {
  const parts = [1, 20, 64, 65, 1024].map((sizeBytes) => briefOctets(sizeBytes));
  for (const [index, part] of parts.entries()) part.fill(index + 1);
  expect(parts.map((part) => new Set(part))).toEqual(parts.map((_, index) => new Set([index + 1])));
  expect(parts.every((part) => part.buffer.byteLength > part.length)).toBe(true);
  expect(briefOctets(40)).toEqual(new Uint8Array(40));
});
