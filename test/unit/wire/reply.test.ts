import { describe, expect, test } from "vitest";
import { parseReply, type RecordView, repeatsQuestion, type Reply } from "../../../src/wire/reply.ts";
import {
  addressRecord,
  buildMessage,
  hex,
  join,
  longestName,
  type MessageSpec,
  optRecord,
  soaRecord,
  toHex,
  toQuestion,
  wireName,
} from "./build-message.ts";
import { countingReads } from "./property.ts";

const name = wireName("wWw.Example");

/** Parses a reply; fails the test if it is not one. */
function parse(packet: Uint8Array): Reply {
  const reply = parseReply(packet);
  if (typeof reply === "number") throw new Error(`fault ${reply} in ${toHex(packet)}`);
  return reply;
}

function replyOf(spec: Partial<MessageSpec>): Reply {
  return parse(buildMessage({ id: 0xbeef, flags: 0x8180, name, ...spec }));
}

/** The data of a record as hex. */
function dataOf(reply: Reply, record: RecordView | undefined): string {
  return record === undefined ? "no record" : toHex(reply.packet.subarray(record.dataOffset, record.end));
}

describe("parseReply", () => {
  test("reads flags, rcode and where the question ends", () => {
    expect(replyOf({ flags: 0x8583 })).toMatchObject({
      flags: 0x8583,
      rcode: 3,
      questionEnd: 12 + name.length + 4,
      answers: [],
      authorities: [],
      additionals: [],
      hasEdns: false,
    });
  });

  test("puts each record into its section, in order", () => {
    const glue = { owner: wireName("ns.example"), type: 28, ttl: 7, data: new Uint8Array(16) };
    const reply = replyOf({
      answers: [addressRecord(1, 1), addressRecord(2, 2)],
      authorities: [soaRecord(3, 4)],
      additionals: [glue, optRecord()],
    });
    expect(reply.answers.map((record) => dataOf(reply, record))).toStrictEqual(["c0000201", "c0000202"]);
    expect(reply.authorities.map(({ type }) => type)).toStrictEqual([6]);
    expect(reply.additionals.map(({ type }) => type)).toStrictEqual([28]);
  });

  test("says where owner, TTL, data and end of a record are", () => {
    const reply = replyOf({
      answers: [{ owner: hex("03 6d7977 c00c"), type: 0xff00, class: 0xfe, ttl: 9, data: hex("aabb") }],
    });
    const start = 12 + name.length + 4;
    expect(reply.answers).toStrictEqual([
      { owner: start, type: 0xff00, class: 0xfe, ttlOffset: start + 10, dataOffset: start + 16, end: start + 18 },
    ]);
  });

  test("takes a record without data", () => {
    const reply = replyOf({ answers: [{ owner: toQuestion, type: 10, data: hex("") }] });
    expect(dataOf(reply, reply.answers[0])).toBe("");
  });

  test.each([
    ["no upper bits", 0, 0x8185, 5],
    ["BADVERS", 0x0100_0000, 0x8180, 16],
    ["BADCOOKIE", 0x0100_0000, 0x8187, 23],
    ["all 12 bits", 0xff00_0000, 0x818f, 0xfff],
  ])("joins the rcode of header and OPT: %s (RFC 6891 §6.1.3)", (_, ttl, flags, rcode) => {
    expect(replyOf({ flags, additionals: [optRecord("", 1232, ttl)] })).toMatchObject({ rcode, hasEdns: true });
  });

  test("ignores octets after the last record", () => {
    const packet = buildMessage({ flags: 0x8180, name, answers: [addressRecord(1)] });
    const reply = parse(join(packet, hex("deadbeef")));
    expect(reply.answers[0]?.end).toBe(packet.length);
  });

  test("leaves out what follows OPT, because it would move when OPT is removed", () => {
    const reply = replyOf({ additionals: [addressRecord(1, 1), optRecord(), addressRecord(2, 2)] });
    expect(reply.additionals.map((record) => dataOf(reply, record))).toStrictEqual(["c0000201"]);
    expect(reply.hasEdns).toBe(true);
  });

  test("accepts names of 255 octets in question and owner", () => {
    const reply = replyOf({ name: longestName, answers: [{ owner: longestName, type: 1, data: hex("01020304") }] });
    expect(dataOf(reply, reply.answers[0])).toBe("01020304");
  });

  test("does not look into data of unknown types: octets that look like pointers stay (RFC 3597 §4)", () => {
    const reply = replyOf({ answers: [{ owner: toQuestion, type: 65_280, data: hex("c0ffc000ff") }] });
    expect(dataOf(reply, reply.answers[0])).toBe("c0ffc000ff");
  });

  test("refuses a reply that is cut off, wherever that is", () => {
    const packet = buildMessage({
      flags: 0x8180,
      name,
      answers: [addressRecord(1)],
      authorities: [soaRecord(3, 4)],
      additionals: [optRecord("000f 0002 0003")],
    });
    expect(typeof parseReply(packet)).toBe("object");
    for (let size = 0; size < packet.length; size += 1) {
      const watched = countingReads(packet.slice(0, size));
      expect(parseReply(watched.packet), `${size} octets`).toBeLessThan(0);
      expect(watched.outside(), `${size} octets`).toBe(0);
    }
  });
});

describe("the work of parseReply is bounded by the size of the packet", () => {
  const questionSize = name.length + 4;
  const header = (count: number): Uint8Array => hex(`0000 8180 0001 ${count.toString(16).padStart(4, "0")} 0000 0000`);

  test.each([
    ["records of a pointer, as many as fit into 64 KiB", "c00c 0001 0001 00000000 0000"],
    ["records of the root", "00 0001 0001 00000000 0000"],
    ["records whose owner points at the record before", "c00c 0005 0001 00000000 0002 c00c"],
  ])("%s", (_, record) => {
    const size = hex(record).length;
    const count = Math.floor((65_535 - 12 - questionSize) / size);
    const body = new Uint8Array(count * size).map((_octet, index) => hex(record)[index % size] ?? 0);
    const packet = join(header(count), name, hex("0001 0001"), body);
    const watched = countingReads(packet);
    const reply = parse(watched.packet);
    expect(reply.answers).toHaveLength(count);
    expect(watched.reads()).toBeLessThanOrEqual(2 * packet.length);
    expect(watched.outside()).toBe(0);
  });

  test("owners that point at the pointer before them are not followed", () => {
    // Each record's owner is a pointer to the owner of the record before: followed, they would cost the square.
    const count = 1_300;
    const first = 12 + questionSize;
    const records = Array.from({ length: count }, (_, index) => {
      const target = index === 0 ? 12 : first + 12 * (index - 1);
      return Uint8Array.of(0xc0 | (target >> 8), target, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0);
    });
    const packet = join(header(count), name, hex("0001 0001"), ...records);
    const watched = countingReads(packet);
    expect(parse(watched.packet).answers).toHaveLength(count);
    expect(watched.reads()).toBeLessThanOrEqual(2 * packet.length);
  });

  test("counts of 65535 cost no more than the octets that follow", () => {
    const packet = hex(`0000 8180 0001 ffff ffff ffff ${toHex(name)} 0001 0001 c00c 0001 0001 00000000 0000`);
    const watched = countingReads(packet);
    expect(parseReply(watched.packet)).toBeLessThan(0);
    expect(watched.reads()).toBeLessThanOrEqual(2 * packet.length);
    expect(watched.outside()).toBe(0);
  });
});

describe("repeatsQuestion", () => {
  const asked = wireName("www.example");
  const packet = buildMessage({ flags: 0x8180, name, type: 28, class: 1 });

  test.each([
    ["the same in another spelling", packet, true],
    ["the same in lower case", buildMessage({ name: asked, type: 28 }), true],
    ["another name of the same size", buildMessage({ name: wireName("wwx.example"), type: 28 }), false],
    ["other label boundaries", buildMessage({ name: wireName("wwwe.xample"), type: 28 }), false],
    ["a shorter name", buildMessage({ name: wireName("example"), type: 28 }), false],
    ["a longer name", buildMessage({ name: wireName("www.example.org"), type: 28 }), false],
    ["another type", buildMessage({ name, type: 1 }), false],
    ["another class", buildMessage({ name, type: 28, class: 3 }), false],
    ["no question", join(packet.slice(0, 4), hex("0000"), packet.slice(6)), false],
    ["two questions", join(packet.slice(0, 4), hex("0002"), packet.slice(6)), false],
    ["one octet missing", packet.slice(0, -1), false],
    ["a header alone", packet.slice(0, 12), false],
    ["three octets", packet.slice(0, 3), false],
    ["nothing", new Uint8Array(0), false],
  ])("%s", (_, reply, expected) => {
    expect(repeatsQuestion(reply, asked, 28, 1)).toBe(expected);
  });

  test("@ and [ are not the upper case of ` and {", () => {
    expect(repeatsQuestion(buildMessage({ name: hex("02 405b 00") }), hex("02 607b 00"), 1, 1)).toBe(false);
  });

  test("does not read past the end, wherever the reply is cut off", () => {
    for (let size = 0; size < packet.length; size += 1) {
      const watched = countingReads(packet.slice(0, size));
      expect(repeatsQuestion(watched.packet, asked, 28, 1)).toBe(false);
      expect(watched.outside(), `${size} octets`).toBe(0);
    }
  });
});
