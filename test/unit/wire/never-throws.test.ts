/*
 * Whatever octets arrive, the parsers return a value or a fault, read nothing past the end that they were given, and
 * do work in proportion to the size of the packet.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { faultNames } from "../../../src/wire/fault.ts";
import { createFoldedName, expandName, foldName, skipName } from "../../../src/wire/name.ts";
import { createQueryView, readQuery } from "../../../src/wire/query.ts";
import { parseReply, repeatsQuestion } from "../../../src/wire/reply.ts";
import { shapeReply } from "../../../src/wire/shape-reply.ts";
import { storeMessage } from "../../../src/wire/stored-message.ts";
import { loadMalformed } from "../../support/messages/malformed-packets.ts";
import { buildMessage, join, optRecord, soaRecord, toHex, wireName } from "./build-message.ts";
import { anyQueryPacket, anyReplySpec, countingReads, mutated, timeBoxed } from "./property.ts";

const malformed = [...loadMalformed("malformed"), ...loadMalformed("malformed-replies")];
const replies = anyReplySpec.map((spec) =>
  buildMessage({ ...spec, additionals: [...(spec.additionals ?? []), optRecord()] }),
);
const anyPacket = fc.oneof(
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 300 }) },
  { weight: 3, arbitrary: mutated(anyQueryPacket) },
  { weight: 3, arbitrary: mutated(replies) },
  { weight: 2, arbitrary: mutated(fc.constantFrom(...malformed.map(({ packet }) => packet))) },
);
const surroundings = [0x00, 0x01, 0xc0, 0xff];

/** What readQuery makes of a packet, as plain data. The offsets count from where the packet starts. */
function readAsQuery(packet: Uint8Array, size: number): unknown {
  const query = createQueryView(7);
  const fault = readQuery(packet, size, query);
  expectFault(fault <= 0 ? fault : Number.NaN);
  const { packet: _packet, name, ...fields } = query;
  return { fault, ...fields, name: fault === 0 ? toHex(name.octets.subarray(0, name.sizeBytes)) : "", hash: name.hash };
}

/** What parseReply makes of a packet, as plain data. */
function readAsReply(packet: Uint8Array): unknown {
  const reply = parseReply(packet);
  if (typeof reply === "number") {
    expectFault(reply);
    return reply;
  }
  const { packet: _packet, ...fields } = reply;
  return fields;
}

function expectFault(fault: number): void {
  expect(faultNames[-fault]).toBeTypeOf("string");
}

describe("whatever arrives", () => {
  test("readQuery gives a query or a fault, whatever lies past the end", () => {
    fc.assert(
      fc.property(anyPacket, (packet) => {
        const alone = readAsQuery(packet, packet.length);
        for (const octet of surroundings) {
          const padded = join(packet, new Uint8Array(70).fill(octet));
          expect(readAsQuery(padded, packet.length)).toStrictEqual(alone);
          expect(readAsQuery(padded.subarray(0, packet.length), packet.length)).toStrictEqual(alone);
        }
      }),
      timeBoxed,
    );
  });

  test("parseReply gives a reply or a fault, whatever lies around the packet", () => {
    fc.assert(
      fc.property(anyPacket, (packet) => {
        const alone = readAsReply(packet);
        for (const octet of surroundings) {
          const around = new Uint8Array(70).fill(octet);
          expect(readAsReply(join(around, packet, around).subarray(70, 70 + packet.length))).toStrictEqual(alone);
        }
      }),
      timeBoxed,
    );
  });

  test("skipName, expandName and foldName give a value or a fault at every offset", () => {
    fc.assert(
      fc.property(anyPacket, fc.nat(400), (packet, drawn) => {
        const offset = Math.min(drawn, packet.length);
        const padded = join(packet, new Uint8Array(70).fill(0x01));
        for (const octets of [packet, padded]) {
          const [skipped, expanded] = [
            skipName(octets, offset, packet.length),
            expandName(octets, offset, packet.length),
          ];
          const folded = foldName(octets, offset, packet.length, createFoldedName(7));
          for (const end of [skipped, folded]) {
            if (end < 0) expectFault(end);
            else expect(end).toBeGreaterThan(offset);
            expect(end).toBeLessThanOrEqual(packet.length);
          }
          if (typeof expanded === "number") expectFault(expanded);
          else expect(expanded.length).toBeLessThanOrEqual(255);
          // A name that can be decompressed can also be skipped.
          if (typeof expanded !== "number") expect(skipped).toBeGreaterThan(0);
        }
        expect(skipName(padded, offset, packet.length)).toBe(skipName(packet, offset, packet.length));
        expect(expandName(padded, offset, packet.length)).toStrictEqual(expandName(packet, offset, packet.length));
      }),
      timeBoxed,
    );
  });

  test("no parser reads past the end, or any octet more than a few times", () => {
    fc.assert(
      fc.property(anyPacket, (packet) => {
        for (const parser of [
          (octets: Uint8Array): unknown => readQuery(octets, octets.length, createQueryView(7)),
          (octets: Uint8Array): unknown => parseReply(octets),
          (octets: Uint8Array): unknown => repeatsQuestion(octets, wireName("www.example"), 1, 1),
          (octets: Uint8Array): unknown => expandName(octets, Math.min(30, octets.length), octets.length),
        ]) {
          const watched = countingReads(packet);
          parser(watched.packet);
          expect(watched.outside()).toBe(0);
          expect(watched.reads()).toBeLessThanOrEqual(3 * packet.length + 32);
        }
      }),
      timeBoxed,
    );
  });

  test("what parses as a reply can be stored and shaped, and then parses again", () => {
    const query = createQueryView(7);
    fc.assert(
      fc.property(fc.oneof(mutated(replies), anyPacket), fc.boolean(), (packet, hasEdns) => {
        const reply = parseReply(packet);
        fc.pre(typeof reply !== "number");
        const asked = join(packet.slice(0, reply.questionEnd));
        asked.set([0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, hasEdns ? 1 : 0]);
        const opt = Uint8Array.of(0, 0, 41, 16, 0, 0, 0, 0, 0, 0, 0);
        const whole = hasEdns ? join(asked, opt) : asked;
        expect(readQuery(whole, whole.length, query)).toBe(0);
        const target = new Uint8Array(512);
        const size = shapeReply(target, storeMessage(reply, 604_800, 5), query, 1, 0, 3, 512);
        expect(size).toBeLessThanOrEqual(512);
        expect(readAsReply(target.subarray(0, size))).toBeTypeOf("object");
      }),
      timeBoxed,
    );
  });
});

describe("no malformed packet is read past its end, or costs more work than it has octets", () => {
  test.each(malformed)("$name", ({ packet }) => {
    for (const parser of [
      (octets: Uint8Array): unknown => readQuery(octets, octets.length, createQueryView(7)),
      (octets: Uint8Array): unknown => parseReply(octets),
    ]) {
      const watched = countingReads(packet);
      parser(watched.packet);
      expect(watched.outside()).toBe(0);
      expect(watched.reads()).toBeLessThanOrEqual(2 * packet.length + 16);
    }
  });
});

describe("the work of readQuery is bounded by the size of the packet", () => {
  const question = join(wireName("a.example"), Uint8Array.of(0, 1, 0, 1));

  function queryWith(counts: readonly number[], body: Uint8Array): Uint8Array {
    const header = [0, 1, 1, 0, 0, 1, ...counts.flatMap((count) => [count >> 8, count & 0xff])];
    return join(Uint8Array.from(header), question, body);
  }

  test.each([
    ["counts of 65535 and no records", [65_535, 65_535, 65_535], 0, 0],
    ["65535 additional records announced, 5900 present", [0, 0, 65_535], 5_900, 0],
    ["as many answer records as fit into 64 KiB", [5_900, 0, 0], 5_900, 0],
    ["as many additional records as fit into 64 KiB, owners that point at the question", [0, 0, 5_400], 5_400, 0xc0],
  ])("%s", (_, counts, records, pointer) => {
    const owner = pointer === 0 ? [0] : [pointer, 12];
    const record = Uint8Array.from([...owner, 0xff, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    const body = new Uint8Array(record.length * records).map((_octet, index) => record[index % record.length] ?? 0);
    const packet = queryWith(counts, body);
    expect(packet.length).toBeLessThanOrEqual(65_535);
    const watched = countingReads(packet);
    readQuery(watched.packet, packet.length, createQueryView(7));
    expect(watched.reads()).toBeLessThanOrEqual(2 * packet.length);
    expect(watched.outside()).toBe(0);
  });

  test("16,000 empty options in one OPT record", () => {
    const options = new Uint8Array(4 * 16_000);
    const opt = join(Uint8Array.of(0, 0, 41, 16, 0, 0, 0, 0, 0, options.length >> 8, options.length & 0xff), options);
    const packet = queryWith([0, 0, 1], opt);
    const watched = countingReads(packet);
    expect(readQuery(watched.packet, packet.length, createQueryView(7))).toBe(0);
    expect(watched.reads()).toBeLessThanOrEqual(2 * packet.length);
  });
});

test("a real reply with every kind of compression is read whole", () => {
  const answers = [
    { owner: Uint8Array.of(0xc0, 12), type: 5, ttl: 5, data: Uint8Array.of(3, 0x77, 0x65, 0x62, 0xc0, 14) },
    { owner: Uint8Array.of(0xc0, 39), type: 1, ttl: 5, data: Uint8Array.of(192, 0, 2, 1) },
  ];
  const packet = buildMessage({ flags: 0x8180, name: wireName("a.example"), answers, authorities: [soaRecord(5, 5)] });
  const reply = parseReply(packet);
  expect(reply).toMatchObject({ answers: [{ type: 5 }, { type: 1 }], authorities: [{ type: 6 }] });
  expect(expandName(packet, 45, packet.length)).toStrictEqual(wireName("web.example"));
});
