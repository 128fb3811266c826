import { expect, test } from "vitest";
import { Fault } from "../../../src/wire/fault.ts";
import { createNameNumbers } from "../../../src/wire/name-numbers.ts";
import { hex, join, longestName, nameOfLabels, u16, wireName } from "./build-message.ts";

const header = new Uint8Array(12);

test("equal names have equal numbers, however they are spelled and compressed", () => {
  const first = wireName("www.example");
  const packet = join(header, first, wireName("WWW.Example"), hex("03 777777 c010"), u16(0xc00c));
  const numberOf = createNameNumbers(packet);
  const number = numberOf(12);
  expect([numberOf(25), numberOf(38), numberOf(44)]).toEqual([number, number, number]);
  expect(number).toBeGreaterThan(0);
});

test("names that differ in a label, a label boundary or their end have different numbers", () => {
  const texts = ["a.b.example", "b.a.example", "ab.example", "example", "a.b.exampl", "a.example"];
  const offsets: number[] = [];
  let packet: Uint8Array = header;
  for (const text of texts) {
    offsets.push(packet.length);
    packet = join(packet, wireName(text));
  }
  expect(new Set(offsets.map(createNameNumbers(packet))).size).toBe(texts.length);
});

test("the root is 0", () => {
  expect(createNameNumbers(join(header, hex("00")))(12)).toBe(0);
});

test("a name of 255 octets has a number, and a longer one is a fault", () => {
  const packet = join(header, longestName, hex("01 61 c00c"));
  expect(createNameNumbers(packet)(12)).toBeGreaterThan(0);
  expect(createNameNumbers(packet)(12 + 255)).toBe(Fault.nameTooLong);
  const many = join(header, nameOfLabels(...Array.from({ length: 128 }, () => 1)));
  expect(createNameNumbers(many)(12)).toBe(Fault.nameTooLong);
});

test.each([
  ["a pointer to itself", "c00c", Fault.pointer],
  ["a forward pointer", "c00e 00", Fault.pointer],
  ["a pointer into the header", "c00b", Fault.pointer],
  ["half a pointer", "c0", Fault.recordTruncated],
  ["a label past the end", "05 6161", Fault.recordTruncated],
  ["no root", "01 61", Fault.recordTruncated],
  ["label type 01", "41 61", Fault.labelType],
])("%s is a fault, however often it is read", (_, octets, fault) => {
  const numberOf = createNameNumbers(join(header, hex(octets)));
  expect([numberOf(12), numberOf(12)]).toEqual([fault, fault]);
});

test("reads the octets of a message with thousands of deep names once", () => {
  // Each name adds a label to the one before, up to 90, as an owner of a hostile reply may.
  const parts: Uint8Array[] = [header, wireName("x.evil.example")];
  const offsets: number[] = [];
  let size = 28;
  for (let depth = 0, before = 12; size < 16_000; depth = (depth + 1) % 90, size += 4) {
    parts.push(join(hex("01 61"), u16(0xc000 + (depth === 0 ? 12 : before))));
    before = size;
    offsets.push(size);
  }
  let reads = 0;
  const packet = new Proxy(join(...parts), {
    get(target, key) {
      if (typeof key === "string" && key !== "length") reads += 1;
      return Reflect.get(target, key) as unknown;
    },
  });
  const numberOf = createNameNumbers(packet);
  for (let pass = 0; pass < 3; pass += 1) for (const offset of offsets) expect(numberOf(offset)).toBeGreaterThan(0);
  expect(reads).toBeLessThan(4 * packet.length);
});
