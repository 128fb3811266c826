import { describe, expect, test } from "vitest";
import { RrClass, RrType } from "../../../src/wire/codes.ts";
import { Fault } from "../../../src/wire/fault.ts";
import { copyQuery, createQueryView, isLookup, readQuery, understandsAuthenticData } from "../../../src/wire/query.ts";
import {
  addressRecord,
  buildMessage,
  hex,
  join,
  longestName,
  optRecord,
  type RecordSpec,
  toHex,
  toQuestion,
  wireName,
} from "./build-message.ts";
import { countingReads } from "./property.ts";

const name = wireName("wWw.Example");
const plain = buildMessage({ id: 0xbeef, flags: 0x0100, name, type: 28, class: 1 });

/** Reads a query into a new view; fails the test if it is not one. */
function read(packet: Uint8Array, sizeBytes = packet.length): ReturnType<typeof createQueryView> {
  const query = createQueryView(7);
  expect(readQuery(packet, sizeBytes, query)).toBe(0);
  return query;
}

function withAdditional(...additionals: RecordSpec[]): Uint8Array {
  return buildMessage({ id: 1, name, additionals });
}

describe("readQuery", () => {
  test("reads ID, flags, name, type and class", () => {
    const query = read(plain);
    expect(query).toMatchObject({ id: 0xbeef, flags: 0x0100, type: 28, class: 1, questionEnd: 12 + name.length + 4 });
    expect(query.packet).toBe(plain);
    expect(toHex(query.name.octets.subarray(0, query.name.sizeBytes))).toBe(toHex(wireName("www.example")));
  });

  test("without OPT there is no EDNS and no DO, and 512 octets fit", () => {
    expect(read(plain)).toMatchObject({ hasEdns: false, ednsVersion: 0, dnssecOk: false, udpSizeBytes: 512 });
  });

  test.each([
    [0, 512],
    [511, 512],
    [512, 512],
    [513, 513],
    [1232, 1232],
    [4096, 4096],
    [65_535, 65_535],
  ])("a client that offers %i octets can take %i (RFC 6891 §6.2.3)", (said, taken) => {
    expect(read(withAdditional(optRecord("", said)))).toMatchObject({ hasEdns: true, udpSizeBytes: taken });
  });

  test.each([
    ["version 0 without DO", 0, { ednsVersion: 0, dnssecOk: false }],
    ["DO", 0x8000, { ednsVersion: 0, dnssecOk: true }],
    ["version 1", 0x0001_0000, { ednsVersion: 1, dnssecOk: false }],
    ["version 255 with DO", 0x00ff_8000, { ednsVersion: 255, dnssecOk: true }],
    ["every flag but DO", 0x7fff, { ednsVersion: 0, dnssecOk: false }],
    ["upper rcode bits, which mean nothing in a query", 0xff00_0000, { ednsVersion: 0, dnssecOk: false }],
  ])("reads %s", (_, ttl, fields) => {
    expect(read(withAdditional(optRecord("", 1232, ttl)))).toMatchObject(fields);
  });

  test.each([
    ["a COOKIE", "000a 0008 0102030405060708"],
    ["NSID, EXPIRE, keepalive and padding", "0003 0000 0009 0000 000b 0000 000c 0004 00000000"],
    ["an unknown option", "0064 0003 010203"],
    ["a client subnet", "0008 0007 0001 18 00 c00002"],
  ])("takes %s as EDNS", (_, options) => {
    expect(read(withAdditional(optRecord(options)))).toMatchObject({ hasEdns: true });
  });

  test("finds OPT before and after other additional records", () => {
    const other: RecordSpec = { owner: toQuestion, type: 0xff00, data: hex("c00cff") };
    expect(read(withAdditional(other, optRecord("", 1400), other))).toMatchObject({
      hasEdns: true,
      udpSizeBytes: 1400,
    });
  });

  test("ignores octets after the last record", () => {
    const packet = join(plain, hex("deadbeef"));
    expect(read(packet)).toMatchObject({ questionEnd: plain.length, hasEdns: false });
  });

  test("does not read a record past the count as OPT", () => {
    const packet = withAdditional(optRecord());
    packet[11] = 0;
    expect(read(packet)).toMatchObject({ hasEdns: false });
  });

  test("reads no further than the given size", () => {
    const packet = withAdditional(optRecord("000a 0008 0102030405060708"));
    for (let size = 0; size < packet.length; size += 1) {
      expect(readQuery(packet, size, createQueryView(7)), `${size} octets`).toBeLessThan(0);
      const watched = countingReads(packet.slice(0, size));
      readQuery(watched.packet, size, createQueryView(7));
      expect(watched.outside(), `${size} octets`).toBe(0);
    }
  });

  test("takes a name of 255 octets", () => {
    const query = read(buildMessage({ name: longestName }));
    expect(query.name.sizeBytes).toBe(255);
    expect(query.questionEnd).toBe(12 + 255 + 4);
  });

  test("takes the root", () => {
    expect(read(buildMessage({ name: wireName(""), type: 2 }))).toMatchObject({ type: 2, questionEnd: 17 });
  });

  test("Z, AD and CD do no harm", () => {
    expect(read(buildMessage({ flags: 0x0170, name }))).toMatchObject({ flags: 0x0170 });
  });

  test("forgets the previous query", () => {
    const query = createQueryView(7);
    const before = withAdditional(optRecord("", 4096, 0x0001_8000));
    expect(readQuery(before, before.length, query)).toBe(0);
    expect(readQuery(plain, plain.length, query)).toBe(0);
    expect(query).toMatchObject({ hasEdns: false, ednsVersion: 0, dnssecOk: false, udpSizeBytes: 512 });
  });

  test("the hash depends on the seed of the view", () => {
    const other = createQueryView(8);
    readQuery(plain, plain.length, other);
    expect(other.name.hash).not.toBe(read(plain).name.hash);
  });
});

describe("what is left for an error reply", () => {
  test.each([
    ["an unreadable question", join(plain.slice(0, 12), hex("c00c 0001 0001")), Fault.pointer, 0],
    ["two questions", join(hex("beef 0100 0002 0000 0000 0000"), plain.slice(12)), Fault.questionCount, 0],
    ["another opcode", join(hex("beef 7900 0001 0000 0000 0000"), plain.slice(12)), Fault.opcode, 0],
    [
      "a record in the answer section",
      buildMessage({ id: 0xbeef, flags: 0x0100, name, answers: [addressRecord(1)] }),
      Fault.recordsInQuery,
      plain.length,
    ],
    [
      "two OPT records",
      buildMessage({ id: 0xbeef, flags: 0x0100, name, additionals: [optRecord(), optRecord()] }),
      Fault.optRepeated,
      plain.length,
    ],
  ])("%s leaves ID and flags, and the question if it was readable", (_, packet, fault, questionEnd) => {
    const query = createQueryView(7);
    readQuery(plain, plain.length, query);
    expect(readQuery(packet, packet.length, query)).toBe(fault);
    expect(query).toMatchObject({ id: 0xbeef, questionEnd });
    expect(query.flags & 0x0100).toBe(0x0100);
  });
});

describe("copyQuery", () => {
  test("keeps every field", () => {
    const query = read(withAdditional(optRecord("", 4096, 0x0001_8000)));
    const { packet: _packet, name: copiedName, ...fields } = copyQuery(query);
    expect(query).toMatchObject(fields);
    expect(copiedName).toMatchObject({ sizeBytes: query.name.sizeBytes, hash: query.name.hash, seed: query.name.seed });
  });

  test("has its own packet, with only header and question", () => {
    const query = read(join(withAdditional(optRecord()), hex("deadbeef")));
    expect(toHex(copyQuery(query).packet)).toBe(toHex(query.packet.subarray(0, query.questionEnd)));
  });

  // Sockets hand out Buffers, and Buffer.slice shares memory where Uint8Array.slice copies.
  test.each([
    ["a Uint8Array", (octets: Uint8Array) => octets.slice()],
    ["a Buffer", (octets: Uint8Array): Uint8Array => Buffer.from(octets)],
    [
      "a part of a larger array",
      (octets: Uint8Array) => join(hex("ffffff"), octets, hex("ff")).subarray(3, 3 + octets.length),
    ],
  ])("outlives its receive buffer, which is %s", (_, received) => {
    const packet = received(plain);
    const query = read(packet);
    const copy = copyQuery(query);
    packet.fill(0xaa);
    const next = buildMessage({ name: wireName("another.example.name") });
    readQuery(next, next.length, query);
    expect(toHex(copy.packet)).toBe(toHex(plain));
    expect(toHex(copy.name.octets)).toBe(toHex(wireName("www.example")));
    expect(copy).toMatchObject({ id: 0xbeef, type: 28 });
  });
});

describe("understandsAuthenticData (RFC 6840 §5.7)", () => {
  test.each([
    ["neither AD nor DO", 0x0100, 0, false],
    ["AD", 0x0120, 0, true],
    ["DO", 0x0100, 0x8000, true],
    ["both", 0x0120, 0x8000, true],
    ["CD alone", 0x0110, 0, false],
  ])("%s", (_, flags, ttl, expected) => {
    const query = read(buildMessage({ flags, name, additionals: [optRecord("", 1232, ttl)] }));
    expect(understandsAuthenticData(query)).toBe(expected);
  });
});

describe("isLookup", () => {
  test.each([
    ["A", RrType.A, RrClass.IN, true],
    ["ANY", RrType.ANY, RrClass.IN, true],
    ["CAA", RrType.CAA, RrClass.IN, true],
    ["TYPE65280", 65_280, RrClass.IN, true],
    ["TYPE248", 248, RrClass.IN, true],
    ["type 0", 0, RrClass.IN, false],
    ["OPT", RrType.OPT, RrClass.IN, false],
    ["TKEY", RrType.TKEY, RrClass.IN, false],
    ["TSIG", RrType.TSIG, RrClass.IN, false],
    ["IXFR", RrType.IXFR, RrClass.IN, false],
    ["AXFR", RrType.AXFR, RrClass.IN, false],
    ["TXT in CH", RrType.TXT, RrClass.CH, false],
    ["A in class ANY", RrType.A, RrClass.ANY, false],
    ["A in class NONE", RrType.A, RrClass.NONE, false],
    ["A in class 2", RrType.A, 2, false],
  ])("%s: %j %j is %j", (_, type, rrClass, expected) => {
    expect(isLookup(type, rrClass)).toBe(expected);
  });
});
