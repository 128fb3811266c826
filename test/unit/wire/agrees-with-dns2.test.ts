/*
 * dns2 reads and writes messages with its own code: what one writes, the other must read as the same.
 */
import { Packet, type Question as Dns2Question, type Resource } from "dns2";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { expandName } from "../../../src/wire/name.ts";
import { nameFromText } from "../../../src/wire/name-text.ts";
import { type ClientQuery, createQueryView, readQuery } from "../../../src/wire/query.ts";
import { composeQuery, type Question, questionOf } from "../../../src/wire/question.ts";
import { parseReply, type RecordView, type Reply } from "../../../src/wire/reply.ts";
import { composeError, maxErrorSizeBytes, shapeReply } from "../../../src/wire/shape-reply.ts";
import { storeMessage } from "../../../src/wire/stored-message.ts";
import { toHex } from "./build-message.ts";
import { timeBoxed } from "./property.ts";

const { TYPE, CLASS } = Packet;

const label = fc.stringMatching(/^[a-zA-Z0-9_-]{1,12}$/);
const dottedName = fc.array(label, { minLength: 1, maxLength: 5 }).map((labels) => labels.join("."));
const ttl = fc.nat(604_800);
const u16 = fc.nat(0xffff);

const anyResource: fc.Arbitrary<Partial<Resource>> = fc
  .tuple(
    dottedName,
    ttl,
    fc.oneof(
      fc.ipV4().map((address) => ({ type: TYPE.A, address })),
      fc.array(u16, { minLength: 8, maxLength: 8 }).map((groups) => ({
        type: TYPE.AAAA,
        address: groups.map((group) => group.toString(16)).join(":"),
      })),
      dottedName.map((domain) => ({ type: TYPE.CNAME, domain })),
      dottedName.map((domain) => ({ type: TYPE.PTR, domain })),
      dottedName.map((ns) => ({ type: TYPE.NS, ns })),
      fc.record({ type: fc.constant(TYPE.MX), priority: u16, exchange: dottedName }),
      fc.record({ type: fc.constant(TYPE.SRV), priority: u16, weight: u16, port: u16, target: dottedName }),
      fc.stringMatching(/^[ -~]{0,60}$/).map((data) => ({ type: TYPE.TXT, data })),
      fc.record({
        type: fc.constant(TYPE.SOA),
        primary: dottedName,
        admin: dottedName,
        serial: fc.nat(),
        refresh: ttl,
        retry: ttl,
        expiration: ttl,
        minimum: ttl,
      }),
    ),
  )
  .map(([name, seconds, rest]) => ({ name, ttl: seconds, class: CLASS.IN, ...rest }));

const anyPacket = fc.record({
  id: u16,
  aa: fc.constantFrom(0, 1),
  rcode: fc.constantFrom(0, 2, 3),
  question: fc.record({ name: dottedName, type: fc.constantFrom(1, 12, 16, 28, 33, 65) }),
  answers: fc.array(anyResource, { maxLength: 8 }),
  authorities: fc.array(anyResource, { maxLength: 3 }),
  additionals: fc.array(anyResource, { maxLength: 3 }),
  hasEdns: fc.boolean(),
});

type PacketSpec = typeof anyPacket extends fc.Arbitrary<infer Spec> ? Spec : never;

/** A reply as dns2 writes it, with compressed names. */
function replyFrom(spec: PacketSpec): Packet {
  const packet = new Packet();
  Object.assign(packet.header, { id: spec.id, qr: 1, aa: spec.aa, rd: 1, ra: 1, rcode: spec.rcode });
  packet.questions = [questionFrom(spec.question)];
  packet.answers = spec.answers as Resource[];
  packet.authorities = spec.authorities as Resource[];
  packet.additionals = [...spec.additionals, ...(spec.hasEdns ? [Packet.Resource.EDNS([])] : [])] as Resource[];
  return packet;
}

function queryFrom(
  question: { name: string; type: number },
  id: number,
  opts?: { doFlag: boolean; udpPayloadSize: number },
): Uint8Array {
  const packet = new Packet();
  Object.assign(packet.header, { id, rd: 1 });
  packet.questions = [questionFrom(question)];
  if (opts !== undefined) packet.additionals = [Packet.Resource.EDNS([], opts)];
  return packet.toBuffer();
}

function questionFrom(question: { name: string; type: number }): Dns2Question {
  return new Packet.Question(question.name, question.type, CLASS.IN);
}

function readWithDns2(octets: Uint8Array): Packet {
  const packet = Packet.parse(Buffer.from(octets));
  expect(packet.errors).toStrictEqual([]);
  return packet;
}

function parse(octets: Uint8Array): Reply {
  const reply = parseReply(octets);
  if (typeof reply === "number") throw new Error(`fault ${reply} in ${toHex(octets)}`);
  return reply;
}

function view(octets: Uint8Array): ClientQuery {
  const query = createQueryView(7);
  expect(readQuery(octets, octets.length, query)).toBe(0);
  return query;
}

/** Name, type, class and TTL of each record, in a form that both can give. */
function seenHere(reply: Reply, records: readonly RecordView[]): unknown[] {
  const octets = new DataView(reply.packet.buffer, reply.packet.byteOffset);
  return records.map((record) => [
    toHex(expandName(reply.packet, record.owner, reply.packet.length) as Uint8Array),
    record.type,
    record.class,
    octets.getUint32(record.ttlOffset),
  ]);
}

function seenByDns2(records: readonly Resource[]): unknown[] {
  return records.map((record) => [
    toHex(nameFromText(record.name) as Uint8Array),
    record.type,
    record.class,
    record.ttl,
  ]);
}

/** Everything that dns2 reads from a record, except its TTL and the spelling of names. */
function contentsOf(records: readonly Resource[], ttlSeconds: (ttl: number) => number): unknown {
  const withTtl = (key: string, value: unknown): unknown => (key === "ttl" ? ttlSeconds(Number(value)) : value);
  return records.map((record) => JSON.stringify(record, withTtl).toLowerCase());
}

describe("what dns2 writes", () => {
  test("is read as the same query", () => {
    const edns = fc.option(fc.record({ doFlag: fc.boolean(), udpPayloadSize: fc.integer({ min: 512, max: 0xffff }) }));
    fc.assert(
      fc.property(anyPacket, edns, ({ question, id }, opts) => {
        const query = view(queryFrom(question, id, opts ?? undefined));
        expect(query).toMatchObject({
          id,
          flags: 0x0100,
          type: question.type,
          class: 1,
          hasEdns: opts !== null,
          dnssecOk: opts?.doFlag ?? false,
          udpSizeBytes: opts?.udpPayloadSize ?? 512,
        });
        expect(questionOf(query).name).toStrictEqual(nameFromText(question.name));
      }),
      timeBoxed,
    );
  });

  test("is read as the same reply", () => {
    fc.assert(
      fc.property(anyPacket, (spec) => {
        const reply = parse(replyFrom(spec).toBuffer());
        expect(reply).toMatchObject({ rcode: spec.rcode, hasEdns: spec.hasEdns });
        expect(seenHere(reply, reply.answers)).toStrictEqual(seenByDns2(spec.answers as Resource[]));
        expect(seenHere(reply, reply.authorities)).toStrictEqual(seenByDns2(spec.authorities as Resource[]));
        expect(seenHere(reply, reply.additionals)).toStrictEqual(seenByDns2(spec.additionals as Resource[]));
      }),
      timeBoxed,
    );
  });
});

describe("what nodens writes", () => {
  test("dns2 reads a query to upstream as that question", () => {
    fc.assert(
      fc.property(dottedName, u16, fc.boolean(), fc.boolean(), (name, type, dnssecOk, checkingDisabled) => {
        const asked: Question = {
          name: nameFromText(name) as Uint8Array,
          nameHash: 0,
          type,
          class: CLASS.IN,
          dnssecOk,
          checkingDisabled,
          recursionDesired: true,
        };
        const packet = readWithDns2(composeQuery(asked));
        expect(packet.questions).toMatchObject([{ name: name.toLowerCase(), type, class: CLASS.IN }]);
        expect(packet.header).toMatchObject({ id: 0, qr: 0, opcode: 0, rd: 1, ad: 1, cd: checkingDisabled ? 1 : 0 });
        expect(packet.additionals).toMatchObject([
          { type: TYPE.EDNS, class: 1232, version: 0, doFlag: dnssecOk, rdata: [] },
        ]);
      }),
      timeBoxed,
    );
  });

  test("dns2 reads a reply from the store as what upstream said, except for ID, spelling and age", () => {
    fc.assert(
      fc.property(anyPacket, u16, fc.nat(1_000), fc.boolean(), (spec, id, age, clientHasEdns) => {
        const upstream = replyFrom(spec).toBuffer();
        const spelling = spec.question.name.toUpperCase();
        const opts = { doFlag: true, udpPayloadSize: 1232 };
        const query = view(queryFrom({ ...spec.question, name: spelling }, id, clientHasEdns ? opts : undefined));
        const target = new Uint8Array(65_535);
        const message = storeMessage(parse(upstream), 604_800, 604_800);
        const size = shapeReply(target, message, query, age, 0, -1, target.length);

        const [sent, received] = [readWithDns2(upstream), readWithDns2(target.subarray(0, size))];
        expect(received.header).toMatchObject({ id, qr: 1, aa: spec.aa, tc: 0, rd: 1, ra: 1, rcode: spec.rcode });
        expect(received.questions).toMatchObject([{ name: spelling, type: spec.question.type }]);
        for (const section of ["answers", "authorities"] as const) {
          expect(contentsOf(received[section], (seconds) => seconds)).toStrictEqual(
            contentsOf(sent[section], (seconds) => Math.max(0, seconds - age)),
          );
        }
        const isOpt = (record: Resource): boolean => record.type === TYPE.EDNS;
        expect(received.additionals.filter(isOpt)).toHaveLength(clientHasEdns ? 1 : 0);
        expect(received.additionals.filter((record) => !isOpt(record))).toHaveLength(spec.additionals.length);
      }),
      timeBoxed,
    );
  });

  test.each([
    ["BADVERS", 16],
    ["SERVFAIL", 2],
  ])("dns2 reads %s with that rcode and an extended error", (_, rcode) => {
    const query = view(queryFrom({ name: "a.example", type: 1 }, 7, { doFlag: true, udpPayloadSize: 4096 }));
    const target = new Uint8Array(maxErrorSizeBytes);
    const packet = readWithDns2(target.subarray(0, composeError(target, query, rcode, 22)));
    expect(packet.header).toMatchObject({ id: 7, qr: 1, rcode });
    expect(packet.additionals).toMatchObject([
      { doFlag: true, rdata: [{ ednsCode: Packet.EDNS_OPTION_CODE.EDE, infoCode: 22 }] },
    ]);
  });
});
