import { describe, expect, test } from "vitest";
import { composeDenial, type SoaRecord, soaOf } from "../../../src/wire/denial.ts";
import { createQueryView, readQuery } from "../../../src/wire/query.ts";
import { parseReply } from "../../../src/wire/reply.ts";
import {
  buildQuery,
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
  u16,
  u32,
} from "../../support/messages/messages.ts";

const nxdomain = 3;
const question = buildQuery("baidu.com.cluster.local", Type.A);

/** What soaOf finds in a denial with this authority section. */
function soaIn(authorities: readonly TestRecord[], more: TestMessage = {}): SoaRecord | undefined {
  const reply = parseReply(replyTo(question, { rcode: nxdomain, authorities: [...authorities], ...more }));
  if (typeof reply === "number") throw new Error(`the reply has fault ${reply}`);
  return soaOf(reply);
}

/** An SOA record with these two names, which may be compressed. */
function soaRecord(
  owner: string,
  primary: Uint8Array,
  mailbox: Uint8Array,
  more: Partial<TestRecord> = {},
): TestRecord {
  const numbers = concat([7, 7200, 1800, 86_400, 30].map(u32));
  return { name: owner, type: Type.SOA, ttl: 30, data: concat([primary, mailbox, numbers]), ...more };
}

/** The record in an SoaRecord, as another reader sees it. */
function readRecord(record: SoaRecord | undefined) {
  if (record === undefined) throw new Error("no SOA");
  const head = concat([u16(0), u16(Flags.QR), u16(0), u16(0), u16(1), u16(0)]);
  const message = readMessage(concat([head, record.octets]));
  expect(message.trailingBytes).toBe(0);
  return message.authorities[0];
}

describe("soaOf", () => {
  test("uncompresses the record, whatever was compressed in it", () => {
    const plain = soaRecord("cluster.local", nameBytes("ns.dns.cluster.local"), nameBytes("hostmaster.cluster.local"));
    // The question's name starts at 12; "cluster.local" in it at 22, as in most replies.
    const packed = soaRecord(
      "@22",
      concat([Uint8Array.of(2, 0x6e, 0x73, 3, 0x64, 0x6e, 0x73), nameBytes("@22")]),
      concat([Uint8Array.of(10), new TextEncoder().encode("hostmaster"), nameBytes("@22")]),
    );
    expect(soaIn([packed])).toEqual(soaIn([plain]));
    expect(readRecord(soaIn([packed]))).toEqual({ ...plain, class: 1, end: expect.any(Number) });
  });

  test("its TTL is where ttlOffset says", () => {
    const record = soaIn([soa("cluster.local", 0x0102_0304, 30)]);
    expect(record?.octets.slice(record.ttlOffset, record.ttlOffset + 4)).toEqual(Uint8Array.of(1, 2, 3, 4));
  });

  test.each([
    [30, 30, 30],
    [30, 5, 5],
    [5, 30, 5],
    [0, 30, 0],
    [30, 0, 0],
    [0xffff_ffff, 0xffff_fffe, 0xffff_fffe],
  ])("denies for the lesser of TTL %i and MINIMUM %i: %i s", (ttl, minimum, seconds) => {
    expect(soaIn([soa("cluster.local", ttl, minimum)])?.denialTtlSeconds).toBe(seconds);
  });

  test("folds the names", () => {
    expect(soaIn([soa("CLUSTER.Local")])).toEqual(soaIn([soa("cluster.local")]));
  });

  test("finds it after other records", () => {
    expect(soaIn([txt("cluster.local", "first"), soa("cluster.local")])).toEqual(soaIn([soa("cluster.local")]));
  });

  test("takes the first of two", () => {
    expect(soaIn([soa("cluster.local", 7, 7), soa("local", 9, 9)])?.denialTtlSeconds).toBe(7);
  });

  test("reads the SOA of the root", () => {
    expect(readRecord(soaIn([soaRecord(".", nameBytes("."), nameBytes("."))]))).toMatchObject({ name: ".", ttl: 30 });
  });

  const names = [nameBytes("ns.dns.cluster.local"), nameBytes("hostmaster.cluster.local")] as const;
  test.each([
    ["no record", []],
    ["another type", [txt("cluster.local", "x")]],
    ["another class", [soaRecord("cluster.local", ...names, { class: 3 })]],
    [
      "data too short for two names and five numbers",
      [soaRecord("cluster.local", ...names, { data: new Uint8Array(21) })],
    ],
    ["no room for the numbers", [soaRecord("cluster.local", names[0], names[1].subarray(0, -6))]],
    ["octets left over", [soaRecord("cluster.local", names[0], concat([names[1], Uint8Array.of(0)]))]],
    ["a mailbox that points forward", [soaRecord("cluster.local", names[0], nameBytes("@16383"))]],
    ["a primary that points at itself", [soaRecord("cluster.local", nameBytes("@67"), names[1])]],
    ["a label type that there is not", [soaRecord("cluster.local", Uint8Array.of(0x40, 0), names[1])]],
  ] as const)("finds no SOA in %s", (_, authorities) => {
    expect(soaIn(authorities)).toBeUndefined();
  });

  test("does not take an SOA from another section", () => {
    expect(soaIn([], { answers: [soa("cluster.local")] })).toBeUndefined();
    expect(soaIn([], { additionals: [soa("cluster.local")] })).toBeUndefined();
  });
});

describe("composeDenial", () => {
  const zoneSoa = soaIn([soa("cluster.local", 30, 30)]) as SoaRecord;

  /** The octets of a denial for a query, written into a buffer that held something else. */
  function deny(packet: Uint8Array, ttlSeconds = 5, limitBytes = 512, record = zoneSoa): Uint8Array {
    const query = createQueryView(7);
    const fault = readQuery(packet, packet.length, query);
    if (fault !== 0) throw new Error(`the query has fault ${fault}`);
    const target = new Uint8Array(65_535).fill(0xee);
    const size = composeDenial(target, query, record, ttlSeconds, limitBytes);
    return target.slice(0, size);
  }

  test("is NXDOMAIN with the zone's SOA and nothing else", () => {
    const message = readMessage(deny(question));
    expect(message).toMatchObject({
      id: 0x1234,
      flags: Flags.QR | Flags.AA | Flags.RD | Flags.RA | nxdomain,
      rcode: nxdomain,
      counts: [1, 0, 1, 0],
      questions: [{ name: "baidu.com.cluster.local", type: Type.A, class: 1 }],
      trailingBytes: 0,
    });
    expect(message.authorities).toMatchObject([{ ...soa("cluster.local", 5, 30), class: 1 }]);
  });

  test("echoes the question's own spelling, its type and its ID", () => {
    const packet = buildQuery("BaiDu.cOm.Cluster.LOCAL", Type.AAAA, { id: 0xfeed });
    const denial = deny(packet);
    expect(denial.slice(12, packet.length)).toEqual(packet.slice(12));
    expect(readMessage(denial).id).toBe(0xfeed);
  });

  test.each([0, 1, 5, 300, 0x7fff_ffff])("may be kept for %i s", (ttl) => {
    expect(readMessage(deny(question, ttl)).authorities[0]?.ttl).toBe(ttl);
  });

  test("does not change the record that it copies", () => {
    const before = zoneSoa.octets.slice();
    deny(question, 1);
    expect(zoneSoa.octets).toEqual(before);
  });

  test.each([
    ["RD", Flags.RD, Flags.RD],
    ["no RD", 0, 0],
    ["CD", Flags.RD | Flags.CD, Flags.RD | Flags.CD],
    ["AD, which nodens must not claim", Flags.RD | Flags.AD, Flags.RD],
    ["Z, which has no meaning", Flags.RD | Flags.Z, Flags.RD],
    ["AA, TC and RA, which belong to replies", Flags.RD | Flags.AA | Flags.TC | Flags.RA, Flags.RD],
  ])("a query with %s", (_, flags, echoed) => {
    const denial = readMessage(deny(buildQuery("x.cluster.local", Type.A, { flags })));
    expect(denial.flags).toBe(Flags.QR | Flags.AA | Flags.RA | echoed | nxdomain);
  });

  test("has an OPT record, without options, exactly when the query had one", () => {
    expect(readMessage(deny(question)).opts).toEqual([]);
    const options = [{ code: 10, data: new Uint8Array(8) }, { code: 8, data: new Uint8Array(7) }]; // prettier-ignore
    const denial = readMessage(deny(buildQuery("x.cluster.local", Type.A, { opt: { udpSize: 4096, options } })));
    expect(denial.opts).toMatchObject([
      { udpSize: 1232, version: 0, dnssecOk: false, flags: 0, upperRcode: 0, options: [], isLast: true },
    ]);
    expect(denial.rcode).toBe(nxdomain);
  });

  test("echoes DO", () => {
    const denial = readMessage(deny(buildQuery("x.cluster.local", Type.A, { opt: { dnssecOk: true } })));
    expect(denial.opts[0]?.dnssecOk).toBe(true);
  });

  describe("where the SOA does not fit", () => {
    const longName = `${"a.".repeat(120)}cluster.local`;
    const longSoa = soaIn([
      soaRecord("cluster.local", nameBytes(`${"p".repeat(63)}.`.repeat(3)), nameBytes(`${"m".repeat(63)}.`.repeat(3))),
    ]) as SoaRecord;

    test.each([
      ["without EDNS", undefined],
      ["with EDNS", {}],
    ])("it is left out and TC is set, %s", (_, opt) => {
      const packet = buildQuery(longName, Type.A, { opt });
      const denial = deny(packet, 5, 512, longSoa);
      expect(denial.length).toBeLessThanOrEqual(512);
      const message = readMessage(denial);
      expect(message.flags & Flags.TC).toBe(Flags.TC);
      expect(message).toMatchObject({ rcode: nxdomain, authorities: [], trailingBytes: 0 });
      expect(message.opts).toHaveLength(opt === undefined ? 0 : 1);
    });

    test("one octet decides, and OPT counts towards the size", () => {
      for (const opt of [undefined, {}]) {
        const packet = buildQuery(longName, Type.A, { opt });
        const whole = deny(packet, 5, 65_535, longSoa);
        expect(deny(packet, 5, whole.length, longSoa)).toEqual(whole);
        const cut = readMessage(deny(packet, 5, whole.length - 1, longSoa));
        expect(cut.flags & Flags.TC).toBe(Flags.TC);
      }
    });

    test("it fits over TCP", () => {
      const message = readMessage(deny(buildQuery(longName, Type.A), 5, 65_535, longSoa));
      expect(message.flags & Flags.TC).toBe(0);
      expect(message.authorities).toHaveLength(1);
    });
  });
});
