import { describe, expect, test } from "vitest";
import { composeAlias } from "../../../src/wire/alias-reply.ts";
import { ownQuestion } from "../../../src/wire/question.ts";
import { parseReply, type Reply } from "../../../src/wire/reply.ts";
import {
  a,
  aaaa,
  buildQuery,
  cname,
  concat,
  Flags,
  nameBytes,
  readMessage,
  replyTo,
  soa,
  type TestMessage,
  type TestRecord,
  txt,
  Type,
  u32,
} from "../../support/messages/messages.ts";

const suffixed = "www.example.com.default.svc.cluster.local";
const outside = "www.example.com";
/** "www.example.com" in the question of a reply, and "example.com" in it. */
const atQuestion = "@12";
const atParent = "@16";
const maxAliasTtlSeconds = 5;

/** What upstream said about the outside name. */
function target(more: TestMessage & { rcode?: number }, type: number = Type.A): Reply {
  const reply = parseReply(replyTo(buildQuery(outside, type), more));
  if (typeof reply === "number") throw new Error(`the reply has fault ${reply}`);
  return reply;
}

/** The alias to it, read back by other code. */
function aliasTo(more: TestMessage & { rcode?: number }, ageSeconds = 0, type: number = Type.A) {
  const packet = composeAlias(ownQuestion(nameBytes(suffixed), type), target(more, type), ageSeconds);
  if (packet === undefined) throw new Error("no alias");
  expect(parseReply(packet)).toBeTypeOf("object");
  const message = readMessage(packet);
  expect(message.trailingBytes).toBe(0);
  return message;
}

function isRefused(more: TestMessage): boolean {
  return composeAlias(ownQuestion(nameBytes(suffixed), Type.A), target(more), 0) === undefined;
}

/** A record with the test's own data, in which names may be compressed. */
function raw(type: number, data: Uint8Array, more: Partial<TestRecord> = {}): TestRecord {
  return { name: atQuestion, type, ttl: 30, data, ...more };
}

const numbers = concat([1, 7200, 1800, 86_400, 60].map(u32));

describe("an alias", () => {
  test.each([
    ["A", Type.A, [a(outside, "192.0.2.1"), a(outside, "192.0.2.2")]],
    ["AAAA", Type.AAAA, [aaaa(outside, 1)]],
    [
      "a chain",
      Type.A,
      [cname(outside, "cdn.example"), cname("cdn.example", "x.example"), a("x.example", "192.0.2.1")],
    ],
  ] as const)("has the question, a CNAME to the outside name, and its records: %s", (_, type, answers) => {
    const message = aliasTo({ answers: [...answers] }, 0, type);
    expect(message.questions).toEqual([{ name: suffixed, type, class: 1 }]);
    expect(message.answers.map(({ name, type: is, data }) => ({ name, type: is, data }))).toEqual(
      [cname(suffixed, outside), ...answers].map(({ name, type: is, data }) => ({ name, type: is, data })),
    );
    expect(message.rcode).toBe(0);
    expect([message.authorities, message.additionals]).toEqual([[], []]);
  });

  test("to NODATA has only the CNAME, followed by the SOA", () => {
    const message = aliasTo({ authorities: [soa("example.com", 60, 60)] }, 0, Type.AAAA);
    expect(message.answers).toMatchObject([{ name: suffixed, type: Type.CNAME, data: nameBytes(outside) }]);
    expect(message.authorities).toMatchObject([
      { name: "example.com", type: Type.SOA, ttl: 60, data: soa("example.com", 60, 60).data },
    ]);
    expect(message.rcode).toBe(0);
  });

  test("to a chain without data has the chain and the SOA", () => {
    const message = aliasTo({ answers: [cname(outside, "cdn.example")], authorities: [soa("example")] });
    expect(message.answers.map(({ data }) => data)).toEqual([nameBytes(outside), nameBytes("cdn.example")]);
    expect(message.authorities).toHaveLength(1);
  });

  test("writes out whatever was compressed: owners, and names in the data", () => {
    const compressed = aliasTo({
      answers: [
        raw(Type.CNAME, concat([Uint8Array.of(3, 0x63, 0x64, 0x6e), nameBytes(atParent)])),
        a("@45", "192.0.2.1"),
      ],
      authorities: [raw(Type.NS, nameBytes(atParent), { name: atParent })],
    });
    const plain = aliasTo({
      answers: [cname(outside, "cdn.example.com"), a("cdn.example.com", "192.0.2.1")],
      authorities: [raw(Type.NS, nameBytes("example.com"), { name: "example.com" })],
    });
    expect(compressed).toEqual(plain);
  });

  test("writes out the two names of an SOA, and leaves its numbers alone", () => {
    const primary = concat([Uint8Array.of(2, 0x6e, 0x73), nameBytes(atParent)]);
    const mailbox = concat([Uint8Array.of(1, 0x68), nameBytes(atParent)]);
    const message = aliasTo({ authorities: [raw(Type.SOA, concat([primary, mailbox, numbers]), { name: atParent })] });
    const expected = concat([nameBytes("ns.example.com"), nameBytes("h.example.com"), numbers]);
    expect(message.authorities).toMatchObject([{ name: "example.com", data: expected }]);
  });

  test("leaves out the additional section and OPT", () => {
    const message = aliasTo({
      answers: [a(outside, "192.0.2.1")],
      additionals: [a("ns.example", "192.0.2.53")],
      opt: {},
    });
    expect(message.counts).toEqual([1, 2, 0, 0]);
  });

  test("has the flags of the outside name's reply, but does not claim to be signed", () => {
    const { flags } = aliasTo({ flags: Flags.AD | Flags.CD, answers: [a(outside, "192.0.2.1")] });
    expect(flags).toBe(Flags.QR | Flags.RA | Flags.RD | Flags.CD);
  });
});

describe("TTLs", () => {
  test.each([
    { ttl: 300, age: 0, left: 300 },
    { ttl: 300, age: 100, left: 200 },
    { ttl: 300, age: 299, left: 1 },
    { ttl: 300, age: 300, left: 1 },
    { ttl: 300, age: 5000, left: 1 },
    { ttl: 0, age: 0, left: 1 },
    { ttl: 0xffff_ffff, age: 1, left: 0xffff_fffe },
  ])("$ttl s become $left s after $age s", ({ ttl, age, left }) => {
    const message = aliasTo(
      { answers: [a(outside, "192.0.2.1", ttl)], authorities: [soa("example.com", ttl, 60)] },
      age,
    );
    expect([message.answers[1]?.ttl, message.authorities[0]?.ttl]).toEqual([left, left]);
  });

  test.each([
    { ttls: [300, 300], age: 0, alias: maxAliasTtlSeconds },
    { ttls: [300, 3], age: 0, alias: 3 },
    { ttls: [300, 100], age: 98, alias: 2 },
    { ttls: [300, 100], age: 100, alias: 1 },
  ])("followed by TTLs of $ttls s, after $age s, the alias itself lives $alias s", ({ ttls, age, alias }) => {
    const message = aliasTo({ answers: ttls.map((ttl) => a(outside, "192.0.2.1", ttl)) }, age);
    expect(message.answers[0]?.ttl).toBe(alias);
  });

  test("an alias to nothing at all, without an SOA, lives as long as any", () => {
    expect(aliasTo({}).answers.map(({ ttl }) => ttl)).toEqual([maxAliasTtlSeconds]);
  });
});

describe("no alias is made", () => {
  const address = a(outside, "192.0.2.1");
  const soaNames = concat([nameBytes("ns.example.com"), nameBytes("h.example.com")]);

  test.each<[string, TestMessage]>([
    ["of a TXT record", { answers: [address, txt(outside, "text")] }],
    ["of a DNAME", { answers: [raw(39, nameBytes("example.net")), address] }],
    ["of a signature", { answers: [address, raw(Type.RRSIG, new Uint8Array(40))] }],
    ["of an unknown type", { answers: [address, raw(Type.PRIVATE, Uint8Array.of(1, 2, 3))] }],
    ["of an unknown type in the authority section", { authorities: [raw(47, nameBytes("example.com"))] }],
    ["of another class", { answers: [{ ...address, class: 3 }] }],
    ["of a CNAME whose name runs past its data", { answers: [raw(Type.CNAME, Uint8Array.of(3, 0x63)), address] }],
    ["of a CNAME with octets after its name", { answers: [raw(Type.CNAME, concat([nameBytes("x"), u32(0)]))] }],
    ["of a CNAME with a forward pointer", { answers: [raw(Type.CNAME, nameBytes("@90")), address] }],
    ["of an SOA without its numbers", { authorities: [raw(Type.SOA, soaNames)] }],
    ["of an SOA with one number too many", { authorities: [raw(Type.SOA, concat([soaNames, numbers, u32(0)]))] }],
    ["of an SOA without data", { authorities: [raw(Type.SOA, new Uint8Array(0))] }],
  ])("%s", (_, message) => {
    expect(isRefused(message)).toBe(true);
  });

  test("that would not fit into a message", () => {
    // Each has 16 octets compressed, and 31 uncompressed.
    const answers = (count: number) => Array.from({ length: count }, () => a(atQuestion, "192.0.2.1"));
    expect(isRefused({ answers: answers(2000) })).toBe(false);
    expect(isRefused({ answers: answers(2200) })).toBe(true);
  });
});
