import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ExtendedError, Rcode } from "../../../src/wire/codes.ts";
import { Fault } from "../../../src/wire/fault.ts";
import { type ClientQuery, copyQuery, createQueryView, readQuery } from "../../../src/wire/query.ts";
import { parseReply, type RecordView, type Reply } from "../../../src/wire/reply.ts";
import { composeError, maxErrorSizeBytes, shapeReply } from "../../../src/wire/shape-reply.ts";
import { type StoredMessage, storeMessage } from "../../../src/wire/stored-message.ts";
import {
  addressRecord,
  ascii,
  buildMessage,
  hex,
  join,
  longestName,
  type MessageSpec,
  optRecord,
  type RecordSpec,
  soaRecord,
  toHex,
  toQuestion,
  u32,
  wireName,
} from "./build-message.ts";
import { anyQueryPacket, anyReplySpec, timeBoxed } from "./property.ts";

const name = wireName("www.example");

/** A client's query; `ednsTtl` undefined means without OPT. */
function ask(fields: { flags?: number; spelling?: string; ednsTtl?: number; id?: number } = {}): ClientQuery {
  const { flags = 0x0100, spelling = "www.example", ednsTtl, id = 0x1234 } = fields;
  const additionals = ednsTtl === undefined ? [] : [optRecord("000a 0008 0102030405060708", 4096, ednsTtl)];
  const packet = buildMessage({ id, flags, name: wireName(spelling), additionals });
  const query = createQueryView(7);
  expect(readQuery(packet, packet.length, query)).toBe(0);
  return query;
}

/** A view of whatever `packet` is, well-formed or not. */
function askBadly(packet: Uint8Array): ClientQuery {
  const query = createQueryView(7);
  readQuery(packet, packet.length, query);
  return query;
}

function stored(spec: Partial<MessageSpec> = {}): StoredMessage {
  const reply = parseReply(buildMessage({ id: 0xffff, flags: 0x8180, name, answers: [addressRecord(300)], ...spec }));
  if (typeof reply === "number") throw new Error(`fault ${reply}`);
  return storeMessage(reply, 604_800, 604_800);
}

interface Shaping {
  age?: number;
  fixedTtl?: number;
  extendedError?: number;
  limit?: number;
}

/** Shapes into a used buffer with exactly the promised room, and returns the reply's octets. */
function shape(message: StoredMessage, query: ClientQuery, shaping: Shaping = {}): Uint8Array {
  const { age = 0, fixedTtl = 0, extendedError = ExtendedError.none, limit = 1232 } = shaping;
  const target = new Uint8Array(limit).fill(0xaa);
  const size = shapeReply(target, message, query, age, fixedTtl, extendedError, limit);
  expect(size).toBeLessThanOrEqual(limit);
  return target.slice(0, size);
}

/** Parses what was shaped: every reply that leaves must be well-formed. */
function parse(packet: Uint8Array): Reply {
  const reply = parseReply(packet);
  if (typeof reply === "number") throw new Error(`fault ${reply} in ${toHex(packet)}`);
  return reply;
}

function shapeAndParse(message: StoredMessage, query: ClientQuery, shaping: Shaping = {}): Reply {
  return parse(shape(message, query, shaping));
}

function ttlOf(reply: Reply, record: RecordView): number {
  return new DataView(reply.packet.buffer).getUint32(record.ttlOffset);
}

function ttlsOf(reply: Reply): number[] {
  return [...reply.answers, ...reply.authorities, ...reply.additionals].map((record) => ttlOf(reply, record));
}

/** A TXT record of the question's name: 12 octets and `dataSize`. */
function textRecord(dataSize: number): RecordSpec {
  return { owner: toQuestion, type: 16, ttl: 300, data: new Uint8Array(dataSize) };
}

function flagsOf(packet: Uint8Array): string {
  return toHex(packet.subarray(2, 4));
}

function countsOf(packet: Uint8Array): string {
  return toHex(packet.subarray(4, 12));
}

describe("shapeReply answers the client that asked", () => {
  test("with its ID", () => {
    expect(toHex(shape(stored(), ask({ id: 0xbeef })).subarray(0, 2))).toBe("beef");
  });

  test.each(["www.example", "WWW.EXAMPLE", "wWw.eXaMpLe"])("with its spelling: %s", (spelling) => {
    const packet = shape(stored({ name: wireName("Www.Example") }), ask({ spelling }));
    expect(toHex(packet.subarray(12, 12 + name.length))).toBe(toHex(wireName(spelling)));
  });

  test("with its type, where the message was stored for another (an NXDOMAIN shared by A and AAAA)", () => {
    const denial = stored({ flags: 0x8183, type: 28, answers: [], authorities: [soaRecord(5, 5)] });
    expect(toHex(shape(denial, ask()).subarray(12 + name.length, 16 + name.length))).toBe("00010001");
  });

  test("without changing the stored message", () => {
    const message = stored({ additionals: [optRecord()] });
    const before = toHex(message.octets);
    shape(message, ask({ spelling: "WWW.example", ednsTtl: 0x8000 }), { age: 7, extendedError: 3 });
    shape(message, ask(), { fixedTtl: 30, limit: 512 });
    expect(toHex(message.octets)).toBe(before);
  });

  test("with every octet of the data", () => {
    const answers: RecordSpec[] = [{ owner: toQuestion, type: 65_280, ttl: 1, data: hex("c00cc0ff00ff") }];
    const reply = shapeAndParse(stored({ answers }), ask());
    const [record] = reply.answers;
    expect(toHex(reply.packet.subarray(record?.dataOffset, record?.end))).toBe("c00cc0ff00ff");
  });
});

describe("flags", () => {
  test.each([
    ["data", 0x8180, 0x0100, "8180"],
    ["NXDOMAIN", 0x8183, 0x0100, "8183"],
    ["SERVFAIL", 0x8182, 0x0100, "8182"],
    ["AA is kept", 0x8580, 0x0100, "8580"],
    ["AA is kept on NXDOMAIN", 0x8583, 0x0100, "8583"],
    ["RD is the client's, set", 0x8080, 0x0100, "8180"],
    ["RD is the client's, clear", 0x8180, 0x0000, "8080"],
    ["RA is always set", 0x8100, 0x0100, "8180"],
    ["CD is the client's, set", 0x8180, 0x0110, "8190"],
    ["CD is the client's, clear", 0x8190, 0x0100, "8180"],
    ["Z of upstream is cleared", 0x81c0, 0x0100, "8180"],
    ["Z of the client is cleared", 0x8180, 0x0140, "8180"],
    ["AD is not for a client that did not ask for it", 0x81a0, 0x0100, "8180"],
    ["AD is for a client that set AD", 0x81a0, 0x0120, "81a0"],
    ["AD is not invented", 0x8180, 0x0120, "8180"],
    ["TC of the client means nothing", 0x8180, 0x0300, "8180"],
    ["AA of the client means nothing", 0x8180, 0x0500, "8180"],
    ["an rcode in a query means nothing", 0x8180, 0x010f, "8180"],
  ])("%s", (_, upstream, client, expected) => {
    expect(flagsOf(shape(stored({ flags: upstream }), ask({ flags: client })))).toBe(expected);
  });

  test("AD is for a client that set DO (RFC 6840 §5.7)", () => {
    expect(flagsOf(shape(stored({ flags: 0x81a0 }), ask({ ednsTtl: 0x8000 })))).toBe("81a0");
    expect(flagsOf(shape(stored({ flags: 0x81a0 }), ask({ ednsTtl: 0 })))).toBe("8180");
  });

  test("a reply that upstream truncated keeps its TC", () => {
    expect(flagsOf(shape(stored({ flags: 0x8380 }), ask()))).toBe("8380");
  });
});

describe("TTLs", () => {
  const message = stored({
    answers: [addressRecord(5), addressRecord(60)],
    authorities: [soaRecord(900, 3)],
    additionals: [addressRecord(7)],
  });

  test.each([
    [0, [5, 60, 900, 7]],
    [1, [4, 59, 899, 6]],
    [5, [0, 55, 895, 2]],
    [6, [0, 54, 894, 1]],
    [100_000, [0, 0, 0, 0]],
  ])("after %i s", (age, ttls) => {
    expect(ttlsOf(shapeAndParse(message, ask(), { age }))).toStrictEqual(ttls);
  });

  test("a fixed TTL replaces them all, whatever the age", () => {
    expect(ttlsOf(shapeAndParse(message, ask(), { age: 100_000, fixedTtl: 30 }))).toStrictEqual([30, 30, 30, 30]);
  });

  test("neither changes OPT", () => {
    for (const shaping of [{ age: 3 }, { fixedTtl: 30 }]) {
      expect(toHex(shape(message, ask({ ednsTtl: 0x8000 }), shaping).slice(-11))).toBe("00002904d0000080000000");
    }
  });
});

describe("EDNS", () => {
  test("no OPT for a client that sent none, even if upstream did", () => {
    const packet = shape(stored({ additionals: [addressRecord(1), optRecord("000f 0002 0003")] }), ask(), {
      extendedError: 3,
    });
    expect(countsOf(packet)).toBe("0001000100000001");
    expect(parse(packet)).toMatchObject({ hasEdns: false });
  });

  test.each([
    ["without DO", 0, ExtendedError.none, "00002904d0000000000000"],
    ["with DO", 0x8000, ExtendedError.none, "00002904d0000080000000"],
    ["none of the unknown flags", 0x7fff, ExtendedError.none, "00002904d0000000000000"],
    ["with an extended error", 0, ExtendedError.staleAnswer, "00002904d0000000000006000f00020003"],
    ["with DO and an extended error", 0x8000, ExtendedError.cachedError, "00002904d0000080000006000f0002000d"],
  ])("one OPT at the end for a client that sent one: %s", (_, ednsTtl, extendedError, opt) => {
    const packet = shape(stored({ additionals: [addressRecord(1)] }), ask({ ednsTtl }), { extendedError });
    expect(countsOf(packet)).toBe("0001000100000002");
    expect(toHex(packet.slice(-opt.length / 2))).toBe(opt);
    expect(parse(packet)).toMatchObject({ hasEdns: true });
  });

  test("none of a client's options come back", () => {
    expect(toHex(shape(stored(), ask({ ednsTtl: 0 })))).not.toContain("0102030405060708");
  });

  test("a message without records is a header, a question and OPT", () => {
    const packet = shape(stored({ flags: 0x8182, answers: [] }), ask({ ednsTtl: 0 }));
    expect(toHex(packet)).toBe(
      toHex(hex(`1234 8182 0001 0000 0000 0001 ${toHex(name)} 0001 0001 00 0029 04d0 00 00 0000 0000`)),
    );
  });
});

describe("an answer that does not fit is cut after the last whole record", () => {
  const questionEnd = 12 + name.length + 4;
  const optSize = 11;

  test.each([
    ["512 without OPT", 512, undefined],
    ["512 with OPT", 512, 0],
    ["1232 without OPT", 1232, undefined],
    ["1232 with OPT", 1232, 0x8000],
    ["4096 with OPT", 4096, 0],
  ])("at %s", (_, limit, ednsTtl) => {
    const answers = Array.from({ length: 300 }, (_record, index) => addressRecord(300, index));
    const query = ask(ednsTtl === undefined ? {} : { ednsTtl });
    const packet = shape(stored({ answers }), query, { limit });
    const reply = parse(packet);
    const room = limit - (ednsTtl === undefined ? 0 : optSize);
    expect(reply.answers).toHaveLength(Math.floor((room - questionEnd) / 16));
    expect(reply.hasEdns).toBe(ednsTtl !== undefined);
    expect(flagsOf(packet)).toBe("8380");
    // No octets after the last record: the counts agree with the size.
    expect(packet).toHaveLength(questionEnd + 16 * reply.answers.length + (reply.hasEdns ? optSize : 0));
    if (reply.hasEdns) expect(toHex(packet.slice(-optSize, -optSize + 5))).toBe("00002904d0");
  });

  test("an answer of exactly the limit is whole, and one octet more is cut", () => {
    for (const [dataSize, answers, flags] of [
      [512 - questionEnd - 12, 1, "8180"],
      [512 - questionEnd - 11, 0, "8380"],
    ] as const) {
      const packet = shape(stored({ answers: [textRecord(dataSize)] }), ask(), { limit: 512 });
      expect(parse(packet).answers).toHaveLength(answers);
      expect(flagsOf(packet)).toBe(flags);
    }
  });

  test("OPT and an extended error count against the limit", () => {
    const fits = stored({ answers: [textRecord(512 - questionEnd - 12 - 17)] });
    expect(flagsOf(shape(fits, ask({ ednsTtl: 0 }), { limit: 512, extendedError: 3 }))).toBe("8180");
    const tooLarge = stored({ answers: [textRecord(512 - questionEnd - 12 - 16)] });
    const packet = shape(tooLarge, ask({ ednsTtl: 0 }), { limit: 512, extendedError: 3 });
    expect(flagsOf(packet)).toBe("8380");
    expect(toHex(packet.slice(-6))).toBe("000f00020003");
  });

  test("a small record after one that does not fit is not moved up", () => {
    const packet = shape(stored({ answers: [textRecord(100), textRecord(600), textRecord(1)] }), ask(), { limit: 512 });
    expect(parse(packet).answers).toHaveLength(1);
    expect(countsOf(packet)).toBe("0001000100000000");
  });

  test("nothing follows cut answers", () => {
    const spec = {
      answers: [textRecord(100), textRecord(600)],
      authorities: [soaRecord(1, 1)],
      additionals: [addressRecord(1)],
    };
    expect(countsOf(shape(stored(spec), ask(), { limit: 512 }))).toBe("0001000100000000");
  });

  test("the TTLs of the remaining records are lowered", () => {
    const reply = shapeAndParse(stored({ answers: [textRecord(100), textRecord(600)] }), ask(), {
      limit: 512,
      age: 10,
    });
    expect(ttlsOf(reply)).toStrictEqual([290]);
  });

  test("a cut reply keeps AA, AD and the rcode", () => {
    const packet = shape(stored({ flags: 0x85a3, answers: [textRecord(600)] }), ask({ flags: 0x0120 }), { limit: 512 });
    expect(flagsOf(packet)).toBe("87a3");
  });

  test("65535 octets fit if the limit is as large", () => {
    const answers = [textRecord(65_535 - questionEnd - 12)];
    const packet = shape(stored({ answers }), ask(), { limit: 65_535 });
    expect(packet).toHaveLength(65_535);
    expect(flagsOf(packet)).toBe("8180");
  });
});

describe("records that are not answers", () => {
  const padding = textRecord(400);
  const large: RecordSpec = { owner: wireName("ns.example"), type: 16, ttl: 300, data: new Uint8Array(200) };

  test("additional records that do not fit are left out without TC (RFC 2181 §9)", () => {
    const packet = shape(stored({ answers: [padding], additionals: [large] }), ask(), { limit: 512 });
    expect(flagsOf(packet)).toBe("8180");
    expect(countsOf(packet)).toBe("0001000100000000");
    expect(parse(packet).answers).toHaveLength(1);
  });

  test("additional records that fit stay when a later one does not", () => {
    const packet = shape(stored({ answers: [padding], additionals: [addressRecord(1), large] }), ask(), { limit: 512 });
    expect(flagsOf(packet)).toBe("8180");
    expect(countsOf(packet)).toBe("0001000100000001");
  });

  test("authority records beside an answer are left out without TC", () => {
    const packet = shape(stored({ answers: [padding], authorities: [large], additionals: [addressRecord(1)] }), ask(), {
      limit: 512,
    });
    expect(flagsOf(packet)).toBe("8180");
    expect(countsOf(packet)).toBe("0001000100000000");
  });

  test("OPT stays when additional records are left out", () => {
    const packet = shape(stored({ answers: [padding], additionals: [large] }), ask({ ednsTtl: 0 }), { limit: 512 });
    expect(countsOf(packet)).toBe("0001000100000001");
    expect(parse(packet)).toMatchObject({ hasEdns: true, additionals: [] });
  });

  const longSoa: RecordSpec = { ...soaRecord(5, 5), data: join(longestName, longestName, ascii("x".repeat(20))) };

  test.each([
    ["NXDOMAIN", 0x8183, "8383"],
    ["NODATA", 0x8180, "8380"],
  ])("the SOA of a denial is missed, so TC is set: %s", (_, flags, expected) => {
    const packet = shape(stored({ flags, answers: [], authorities: [longSoa] }), ask(), { limit: 512 });
    expect(flagsOf(packet)).toBe(expected);
    expect(countsOf(packet)).toBe("0001000000000000");
  });

  test("the SOA of a denial after an alias is missed just as much (RFC 2308 §2.1)", () => {
    const alias: RecordSpec = { owner: toQuestion, type: 5, ttl: 300, data: wireName("target.example") };
    const packet = shape(stored({ flags: 0x8183, answers: [alias], authorities: [longSoa] }), ask(), { limit: 512 });
    expect(countsOf(packet)).toBe("0001000100000000");
    expect(flagsOf(packet)).toBe("8383");
  });

  test("a denial that fits has its SOA and no TC", () => {
    const packet = shape(stored({ flags: 0x8183, answers: [], authorities: [soaRecord(5, 5)] }), ask(), { limit: 512 });
    expect(flagsOf(packet)).toBe("8183");
    expect(countsOf(packet)).toBe("0001000000010000");
  });
});

describe("every shaped reply", () => {
  test("can be parsed, keeps within the limit, and repeats ID and question", () => {
    const limits = fc.oneof(fc.constantFrom(512, 1232, 65_535), fc.integer({ min: 512, max: 2_000 }));
    const errors = fc.constantFrom(...Object.values(ExtendedError));
    fc.assert(
      fc.property(anyReplySpec, anyQueryPacket, limits, errors, fc.nat(1_000_000), fc.nat(30), (...drawn) => {
        const [spec, askedPacket, limit, extendedError, age, fixedTtl] = drawn;
        const asked = buildMessage({ ...spec, flags: 0, answers: [], authorities: [], additionals: [] });
        const opt = askedPacket.slice(askBadly(askedPacket).questionEnd);
        const packet = join(asked, opt);
        packet.set(askedPacket.subarray(0, 4));
        packet[11] = opt.length > 0 ? 1 : 0;
        const query = askBadly(packet);

        const shaped = shape(stored(spec), query, { age, fixedTtl, extendedError, limit });
        const reply = parse(shaped);
        expect(toHex(shaped.subarray(0, 2))).toBe(toHex(packet.subarray(0, 2)));
        expect(toHex(shaped.subarray(12, reply.questionEnd))).toBe(toHex(packet.subarray(12, query.questionEnd)));
        expect(reply.hasEdns).toBe(opt.length > 0);
        // The counted records account for all octets.
        const records = [...reply.answers, ...reply.authorities, ...reply.additionals];
        const end = records.at(-1)?.end ?? reply.questionEnd;
        const optSize = shaped.length - end;
        expect([0, 11, 17]).toContain(optSize);
        expect(optSize > 0).toBe(reply.hasEdns);
        const isCut = reply.answers.length < spec.answers!.length;
        if (isCut) expect(reply.flags & 0x0200).toBe(0x0200);
      }),
      timeBoxed,
    );
  });
});

describe("composeError", () => {
  /** Composes into a used buffer with the room that is promised to be enough. */
  function compose(query: ClientQuery, rcode: number, extendedError: number = ExtendedError.none): string {
    const target = new Uint8Array(maxErrorSizeBytes).fill(0xaa);
    const size = composeError(target, query, rcode, extendedError);
    expect(size).toBeLessThanOrEqual(maxErrorSizeBytes);
    return toHex(target.subarray(0, size));
  }

  const question = `${toHex(wireName("wWw.Example"))}00010001`;
  const plain = { spelling: "wWw.Example" };

  test.each([
    ["SERVFAIL", Rcode.SERVFAIL, "1234818200010000000000"],
    ["NXDOMAIN", Rcode.NXDOMAIN, "1234818300010000000000"],
    ["FORMERR", Rcode.FORMERR, "1234818100010000000000"],
    ["REFUSED", Rcode.REFUSED, "1234818500010000000000"],
  ])("%s repeats the question in the client's spelling", (_, rcode, header) => {
    expect(compose(ask(plain), rcode)).toBe(`${header}00${question}`);
  });

  test.each([
    ["RD clear", 0x0000, "8082"],
    ["RD", 0x0100, "8182"],
    ["CD", 0x0110, "8192"],
    ["AA, TC, RA, Z and AD are not echoed", 0x06e0, "8082"],
    ["an rcode in a query is not echoed", 0x010f, "8182"],
  ])("flags: %s", (_, flags, expected) => {
    expect(compose(ask({ flags }), Rcode.SERVFAIL).slice(4, 8)).toBe(expected);
  });

  test.each([
    ["two questions", "beef 0100 0002 0000 0000 0000 00 0001 0001 00 0001 0001", Rcode.FORMERR, "beef 8181"],
    ["a pointer for a name", "beef 0000 0001 0000 0000 0000 c00c 0001 0001", Rcode.FORMERR, "beef 8081"],
    ["opcode 1", "beef 0800 0001 0000 0000 0000 00 0001 0001", Rcode.NOTIMP, "beef 8884"],
    ["opcode 2", "beef 1000 0001 0000 0000 0000 00 0001 0001", Rcode.NOTIMP, "beef 9084"],
    ["opcode 4", "beef 2000 0001 0000 0000 0000 00 0001 0001", Rcode.NOTIMP, "beef a084"],
    ["opcode 5", "beef 2800 0001 0001 0001 0000 00 0001 0001", Rcode.NOTIMP, "beef a884"],
    ["opcode 6", "beef 3000 0000 0000 0000 0000", Rcode.NOTIMP, "beef b084"],
    ["opcode 15", "beef 7800 0000 0000 0000 0000", Rcode.NOTIMP, "beef f884"],
  ])("only the header for %s", (_, packet, rcode, start) => {
    expect(compose(askBadly(hex(packet)), rcode)).toBe(toHex(hex(`${start} 0000 0000 0000 0000`)));
  });

  test("the question is repeated if only what follows it is wrong", () => {
    const packet = buildMessage({
      id: 0x1234,
      flags: 0x0100,
      name: wireName("wWw.Example"),
      answers: [addressRecord(1)],
    });
    const query = createQueryView(7);
    expect(readQuery(packet, packet.length, query)).toBe(Fault.recordsInQuery);
    expect(compose(query, Rcode.FORMERR)).toBe(`123481810001000000000000${question}`);
  });

  test.each([
    ["without DO", 0x0001_0000, "00002904d0010000000000"],
    ["with DO", 0x0001_8000, "00002904d0010080000000"],
    ["with another version and an unknown flag", 0x0002_0040, "00002904d0010000000000"],
  ])("BADVERS is 0 in the header and 1 in OPT (RFC 6891 §6.1.3): %s", (_, ednsTtl, opt) => {
    expect(compose(ask({ ...plain, ednsTtl }), Rcode.BADVERS)).toBe(`123481800001000000000001${question}${opt}`);
  });

  test.each([
    ["no OPT for a client without", undefined, "1234818200010000000000", "00", ""],
    [
      "OPT with the error for a client with one",
      0,
      "1234818200010000000000",
      "01",
      "00002904d0000000000006000f00020016",
    ],
    ["OPT with DO and the error", 0x8000, "1234818200010000000000", "01", "00002904d0000080000006000f00020016"],
  ])("an extended error: %s", (_, ednsTtl, header, count, opt) => {
    const query = ask(ednsTtl === undefined ? plain : { ...plain, ednsTtl });
    expect(compose(query, Rcode.SERVFAIL, ExtendedError.noReachableAuthority)).toBe(
      `${header}${count}${question}${opt}`,
    );
  });

  test("the longest name, OPT and an extended error fit exactly", () => {
    const packet = buildMessage({ name: longestName, additionals: [optRecord()] });
    const size = compose(askBadly(packet), Rcode.SERVFAIL, ExtendedError.networkError).length / 2;
    expect(size).toBe(maxErrorSizeBytes);
  });

  test("answers a copied query as it answers the query itself", () => {
    const query = ask({ ...plain, ednsTtl: 0x8000 });
    expect(compose(copyQuery(query), Rcode.SERVFAIL)).toBe(compose(query, Rcode.SERVFAIL));
  });

  test("the TTL field of a reply's OPT never comes from a client's", () => {
    expect(compose(ask({ ednsTtl: 0x0001_7fff }), Rcode.SERVFAIL)).not.toContain(toHex(u32(0x0001_7fff)));
  });
});
