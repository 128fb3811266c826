import { describe, expect, test } from "vitest";
import { judgeLifetime, type Lifetime } from "../../../src/cache/lifetime.ts";
import {
  a,
  aaaa,
  buildMessage,
  cname,
  concat,
  Flags,
  nameBytes,
  soa,
  type TestRecord,
  txt,
  Type,
  u16,
} from "../../support/messages/messages.ts";
import { parseReply } from "../../../src/wire/reply.ts";
import { nxdomain, questionFor, replyFor, type ReplySpec, wideLimits } from "../../support/messages/parsed-messages.ts";
import { countingReads } from "../wire/property.ts";

const dname = 39;
const name = "www.example";
const address = (ttl: number, owner = name) => a(owner, "192.0.2.1", ttl);

function ns(zone: string, ttl = 30): TestRecord {
  return { name: zone, type: Type.NS, ttl, data: nameBytes(`ns.${zone}`) };
}

/** A signature of something of `type`; only its first field and its TTL matter here. */
function rrsig(owner: string, type: number, ttl: number): TestRecord {
  return { name: owner, type: Type.RRSIG, ttl, data: concat([u16(type), new Uint8Array(40)]) };
}

function mx(owner: string, ttl: number): TestRecord {
  return { name: owner, type: Type.MX, ttl, data: concat([u16(10), nameBytes("mail.example")]) };
}

function judge(spec: ReplySpec, type = Type.A, limits = wideLimits, asked = name): Lifetime {
  const question = questionFor(asked, type);
  return judgeLifetime(replyFor(question, spec), question, limits);
}

/** `links` aliases from `www.example` on, and an address at their end. */
function chain(links: number): TestRecord[] {
  const names = [name, ...Array.from({ length: links }, (_, index) => `hop${index}.example`)];
  const aliases = names.slice(0, -1).map((owner, index) => cname(owner, names[index + 1] as string, 300));
  return [...aliases, address(10, names.at(-1))];
}

const answer = (ttlSeconds: number): Lifetime => ({ kind: "answer", ttlSeconds });
const denial = (ttlSeconds: number): Lifetime => ({ kind: "denial", ttlSeconds });

describe("data", () => {
  test.each<[string, ReplySpec, Lifetime]>([
    ["one address", { answers: [address(5)] }, answer(5)],
    ["C4: the shortest TTL of an RRset", { answers: [address(60), address(5)] }, answer(5)],
    [
      "C4: the shortest TTL of alias and address",
      { answers: [cname(name, "b.example", 300), address(10, "b.example")] },
      answer(10),
    ],
    [
      "an alias with a shorter TTL than its address",
      { answers: [cname(name, "b.example", 3), address(10, "b.example")] },
      answer(3),
    ],
    ["a shorter authority record", { answers: [address(60)], authorities: [ns("example", 7)] }, answer(7)],
    ["a shorter additional record", { answers: [address(60)], additionals: [address(8, "ns.example")] }, answer(8)],
    ["longer records in other sections", { answers: [address(60)], authorities: [ns("example", 700)] }, answer(60)],
    ["C3: the largest TTL", { answers: [address(0xffff_ffff)] }, answer(604_800)],
    ["C3: TTL 2^31", { answers: [address(0x8000_0000)] }, answer(604_800)],
    ["a large TTL beside a small one", { answers: [address(0x8000_0000), address(5)] }, answer(5)],
    ["C2: TTL 0", { answers: [address(0)] }, answer(0)],
    ["TTL 0 in one record of the RRset", { answers: [address(60), address(0)] }, answer(0)],
    ["TTL 0 of the alias", { answers: [cname(name, "b.example", 0), address(10, "b.example")] }, answer(0)],
    ["TTL 0 in the authority section", { answers: [address(60)], authorities: [ns("example", 0)] }, answer(0)],
    ["TTL 0 in the additional section", { answers: [address(60)], additionals: [address(0, "ns.example")] }, answer(0)],
    [
      "the SOA's MINIMUM does not affect data",
      { answers: [address(60)], authorities: [soa("example", 30, 1)] },
      answer(30),
    ],
    ["OPT is not a record: its version and flags are not a TTL", { answers: [address(60)], opt: {} }, answer(60)],
    ["truncated (RFC 2181 §9)", { answers: [address(60)], flags: Flags.TC }, answer(0)],
    ["with AA", { answers: [address(60)], flags: Flags.AA }, answer(60)],
  ])("%s", (_, spec, expected) => {
    expect(judge(spec)).toEqual(expected);
  });

  test("lives at most as long as the limit allows", () => {
    expect(judge({ answers: [address(3600)] }, Type.A, { maxTtlSeconds: 60, maxDenialTtlSeconds: 5 })).toEqual(
      answer(60),
    );
  });

  test.each([
    ["TXT", Type.TXT, txt(name, "hello", 9)],
    ["a private type", Type.PRIVATE, { name, type: Type.PRIVATE, ttl: 9, data: Uint8Array.of(0xc0, 0x0c) }],
    ["CNAME", Type.CNAME, cname(name, "b.example", 9)],
    ["RRSIG", Type.RRSIG, rrsig(name, Type.A, 9)],
    ["DNAME", dname, { name, type: dname, ttl: 9, data: nameBytes("b.example") }],
  ])("is %s, if that was asked for", (_, type, record) => {
    expect(judge({ answers: [record] }, type)).toEqual(answer(9));
  });

  test("an alias is followed even if its server spells it differently", () => {
    expect(judge({ answers: [cname("WWW.Example", "B.example", 30), address(10, "b.EXAMPLE")] })).toEqual(answer(10));
  });

  test("owners may be compressed", () => {
    expect(judge({ answers: [address(5, "@12"), address(6, "@12")] })).toEqual(answer(5));
  });
});

describe("chains of aliases", () => {
  test.each([
    [1, answer(10)],
    [10, answer(10)],
    [11, answer(10)],
    [12, answer(10)],
    [32, answer(10)],
    [33, denial(0)],
    [200, denial(0)],
  ])("of %i links", (links, expected) => {
    expect(judge({ answers: chain(links) })).toEqual(expected);
  });

  test("may repeat their records", () => {
    expect(judge({ answers: [...chain(3), ...chain(3)] })).toEqual(answer(10));
  });

  test("may come in any order (RFC 1034 §3.6.2 prescribes none)", () => {
    const [first, ...rest] = chain(5);
    expect(judge({ answers: [...rest.toReversed(), first as TestRecord] })).toEqual(answer(10));
  });

  test.each<[string, TestRecord[]]>([
    ["an alias of itself", [cname(name, name)]],
    ["two names that are aliases of each other", [cname(name, "b.example"), cname("b.example", name)]],
    [
      "a loop after a first alias",
      [cname(name, "b.example"), cname("b.example", "c.example"), cname("c.example", "b.example")],
    ],
    ["a loop beside the address", [cname(name, "b.example"), cname("b.example", name), address(30, "c.example")]],
    ["two targets for one owner", [cname(name, "b.example"), cname(name, "c.example"), address(30, "b.example")]],
    ["only an address of another name", [address(30, "other.example")]],
    ["an address of another name beside the right one", [address(30), address(30, "other.example")]],
    ["an alias that does not lead to the address", [cname(name, "b.example"), address(30, "c.example")]],
    ["an alias that nothing leads to", [address(30), cname("b.example", "c.example")]],
    ["an alias beside the address at the same owner", [cname(name, "b.example"), address(30)]],
    ["a record of another type at the same owner", [address(30), mx(name, 30)]],
    ["only a record of another type", [mx(name, 30)]],
    ["an address of the other family", [aaaa(name, 1)]],
  ])("C7: %s is relayed and forgotten", (_, answers) => {
    expect(judge({ answers, authorities: [soa("example")] })).toMatchObject({ ttlSeconds: 0 });
  });

  test("C6: an alias without a target record and without an SOA is a denial for a few seconds", () => {
    expect(judge({ answers: [cname(name, "b.example")] })).toEqual(denial(5));
  });

  test("an alias whose target did not fit into the message is not kept", () => {
    const broken = { name, type: Type.CNAME, ttl: 30, data: Uint8Array.of(40, 0x61) };
    expect(judge({ answers: [broken] })).toEqual(denial(0));
  });

  test.each<[string, TestRecord[]]>([
    ["signatures of the address", [address(30), rrsig(name, Type.A, 30)]],
    [
      "signatures of alias and address",
      [cname(name, "b.example"), rrsig(name, Type.CNAME, 30), address(30, "b.example"), rrsig("b.example", Type.A, 30)],
    ],
    [
      "a DNAME and the alias made from it",
      [
        { name: "example", type: dname, ttl: 30, data: nameBytes("target") },
        cname(name, "www.target"),
        address(30, "www.target"),
      ],
    ],
  ])("may be accompanied by %s", (_, answers) => {
    expect(judge({ answers })).toEqual(answer(30));
  });

  test("a signature's TTL counts too", () => {
    expect(judge({ answers: [address(30), rrsig(name, Type.A, 4)] })).toEqual(answer(4));
  });
});

describe("ANY", () => {
  test("accepts whatever is at the name", () => {
    expect(judge({ answers: [address(30), mx(name, 20), txt(name, "x", 40)] }, Type.ANY)).toEqual(answer(20));
  });

  test("an alias is its own answer: nothing is followed", () => {
    expect(judge({ answers: [cname(name, "b.example", 9)] }, Type.ANY)).toEqual(answer(9));
  });

  test("a record of another name spoils the answer", () => {
    expect(judge({ answers: [address(30), address(30, "b.example")] }, Type.ANY)).toMatchObject({ ttlSeconds: 0 });
  });

  test('HINFO "RFC8482" is an answer like any other', () => {
    const data = concat([Uint8Array.of(7), new TextEncoder().encode("RFC8482"), Uint8Array.of(0)]);
    expect(judge({ answers: [{ name, type: Type.HINFO, ttl: 3789, data }] }, Type.ANY)).toEqual(answer(3789));
  });
});

describe("denials", () => {
  const inZone = (ttl: number, minimum: number) => ({ authorities: [soa("example", ttl, minimum)] });

  test.each<[string, ReplySpec, number]>([
    ["C5: NXDOMAIN, MINIMUM below the TTL", { rcode: nxdomain, ...inZone(900, 3) }, 3],
    ["C5: NXDOMAIN, TTL below MINIMUM", { rcode: nxdomain, ...inZone(3, 900) }, 3],
    ["C5: NODATA, MINIMUM below the TTL", inZone(900, 3), 3],
    ["C5: NODATA, TTL below MINIMUM", inZone(3, 900), 3],
    ["C6: NXDOMAIN without SOA", { rcode: nxdomain }, 5],
    ["C6: NODATA without SOA", {}, 5],
    ["C6: a referral", { authorities: [ns("example")], additionals: [address(30, "ns.example")] }, 0],
    ["a referral upwards", { authorities: [ns(".")] }, 0],
    ["a referral for an alias's target", { answers: [cname(name, "b.other", 300)], authorities: [ns("other")] }, 0],
    ["an alias with a TTL below 5 s", { answers: [cname(name, "b.other", 3)] }, 3],
    ["MINIMUM 0", { rcode: nxdomain, ...inZone(900, 0) }, 0],
    ["SOA TTL 0", { rcode: nxdomain, ...inZone(0, 900) }, 0],
    ["MINIMUM 2^32 - 1", { rcode: nxdomain, ...inZone(900, 0xffff_ffff) }, 900],
    ["SOA TTL 2^31", { rcode: nxdomain, ...inZone(0x8000_0000, 900) }, 900],
    ["the SOA of the root encloses every name", { rcode: nxdomain, authorities: [soa(".", 30, 30)] }, 30],
    ["the SOA of the name itself", { authorities: [soa(name, 30, 30)] }, 30],
    ["the SOA of a name below", { authorities: [soa(`a.${name}`)] }, 5],
    ["the SOA of a sister zone", { rcode: nxdomain, authorities: [soa("sister")] }, 5],
    [
      "the SOA of a zone that matches only across a label boundary",
      { rcode: nxdomain, authorities: [soa("ample")] },
      5,
    ],
    ["the SOA in another section", { rcode: nxdomain, additionals: [soa("example")] }, 5],
    ["an SOA of another class", { rcode: nxdomain, authorities: [{ ...soa("example"), class: 3 }] }, 5],
    [
      "an SOA too short to hold its numbers",
      { rcode: nxdomain, authorities: [{ ...soa("example"), data: new Uint8Array(21).fill(1) }] },
      5,
    ],
    ["truncated", { rcode: nxdomain, flags: Flags.TC, ...inZone(30, 30) }, 0],
    ["data beside NXDOMAIN", { rcode: nxdomain, answers: [address(30)], ...inZone(30, 30) }, 0],
    [
      "C7: an alias to an absent name",
      { rcode: nxdomain, answers: [cname(name, "b.example", 300)], ...inZone(30, 30) },
      30,
    ],
    [
      "an alias that expires before the denial",
      { rcode: nxdomain, answers: [cname(name, "b.example", 4)], ...inZone(30, 30) },
      4,
    ],
    ["an alias to NODATA", { answers: [cname(name, "b.example", 300)], ...inZone(30, 30) }, 30],
    [
      "an alias out of the zone whose SOA denies",
      { rcode: nxdomain, answers: [cname(name, "b.other", 300)], ...inZone(30, 30) },
      5,
    ],
    [
      "an alias into the zone whose SOA denies",
      { rcode: nxdomain, answers: [cname(name, "b.other", 300)], authorities: [soa("other", 30, 30)] },
      30,
    ],
    ["a loop beside NXDOMAIN", { rcode: nxdomain, answers: [cname(name, name)], ...inZone(30, 30) }, 0],
    [
      "an unrelated record beside NXDOMAIN",
      { rcode: nxdomain, answers: [address(30, "b.example")], ...inZone(30, 30) },
      0,
    ],
    [
      "the denial lives no longer than a record in its authority section",
      { rcode: nxdomain, authorities: [soa("example", 30, 30), rrsig("example", Type.SOA, 2)] },
      2,
    ],
  ])("%s", (_, spec, ttlSeconds) => {
    expect(judge(spec)).toEqual(denial(ttlSeconds));
  });

  test("live at most as long as their own limit allows, which is not the limit for data", () => {
    const limits = { maxTtlSeconds: 600, maxDenialTtlSeconds: 5 };
    expect(judge({ rcode: nxdomain, ...inZone(900, 900) }, Type.A, limits)).toEqual(denial(5));
    expect(judge({ answers: [address(900)] }, Type.A, limits)).toEqual(answer(600));
  });

  test("are not kept with a limit of 0", () => {
    const limits = { maxTtlSeconds: 600, maxDenialTtlSeconds: 0 };
    expect(judge({ rcode: nxdomain, ...inZone(900, 900) }, Type.A, limits)).toEqual(denial(0));
  });
});

describe("work is linear in the packet", () => {
  /** Octets read for an RRset of `count` addresses whose owners are a label and a pointer, so that none is known by its pointer. */
  function readsFor(count: number): number {
    const question = questionFor(name, Type.A);
    const record = (index: number) => ({ ...address(30), data: Uint8Array.of(10, 0, index >> 8, index) });
    const packet = buildMessage({
      flags: Flags.QR,
      questions: [{ name, type: Type.A }],
      answers: Array.from({ length: count }, (_, index) => record(index)),
    });
    const watched = countingReads(packet);
    const reply = parseReply(watched.packet);
    if (typeof reply === "number") throw new Error(`fault ${reply}`);
    const before = watched.reads();
    expect(judgeLifetime(reply, question, wideLimits)).toEqual(answer(30));
    return watched.reads() - before;
  }

  test("ten times the records cost ten times the reads", () => {
    expect(readsFor(2000)).toBeLessThan(11 * readsFor(200));
  });

  test("an owner that is the same pointer over and over is read once", () => {
    const asked = Array.from({ length: 4 }, () => "x".repeat(60)).join(".");
    const question = questionFor(asked, Type.A);
    const count = 2000;
    const answers = Array.from({ length: count }, () => address(30, "@12"));
    const watched = countingReads(
      buildMessage({ flags: Flags.QR, questions: [{ name: asked, type: Type.A }], answers }),
    );
    const reply = parseReply(watched.packet);
    if (typeof reply === "number") throw new Error(`fault ${reply}`);
    const before = watched.reads();
    expect(judgeLifetime(reply, question, wideLimits)).toEqual(answer(30));
    // The owner's two octets and the TTL's four, not the name's 245.
    expect(watched.reads() - before).toBeLessThan(count * 10);
  });

  test("pointers that lead to pointers are followed once from each place where they start", () => {
    // Owner i is a pointer to owner i - 1, so that reading the last owner walks them all; each costs at most 127 hops.
    const count = 4000;
    const recordSize = 12 + 4;
    const start = 12 + nameBytes(name).length + 4;
    const answers = Array.from({ length: count }, (_, index) =>
      address(30, index === 0 ? "@12" : `@${Math.min(start + (index - 1) * recordSize, 0x3fff)}`),
    );
    const question = questionFor(name, Type.A);
    const watched = countingReads(buildMessage({ flags: Flags.QR, questions: [{ name, type: Type.A }], answers }));
    const reply = parseReply(watched.packet);
    if (typeof reply === "number") throw new Error(`fault ${reply}`);
    const before = watched.reads();
    judgeLifetime(reply, question, wideLimits);
    expect(watched.reads() - before).toBeLessThan(count * (2 * 128 + 30));
  });
});
