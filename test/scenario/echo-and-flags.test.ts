/*
 * What every reply repeats, and what it never shows: ID, spelling, flags, EDNS, size.
 */
import { describe, expect, test } from "vitest";
import { a, cname, concat, Flags, nameBytes, soa, txt, Type, type TestOpt } from "../support/messages/messages.ts";
import { createWorld, learn, nxdomain, type UpstreamReply } from "../support/world/create-world.ts";

const name = "www.example";
const data: UpstreamReply = { answers: [a(name, "192.0.2.1", 300)] };
const denial: UpstreamReply = { rcode: nxdomain, authorities: [soa("example", 300, 300)] };
const nodata: UpstreamReply = { authorities: [soa("example", 300, 300)] };
/** Far more than fits a datagram. */
const huge: UpstreamReply = { answers: Array.from({ length: 120 }, (_, index) => a(name, `192.0.2.${index}`, 300)) };

/** ID and question as octets: what a reply has to repeat. */
function echoed(octets: Uint8Array): Uint8Array {
  return concat([octets.slice(0, 2), octets.slice(12, 12 + nameBytes(name).length + 4)]);
}

describe("ID and spelling", () => {
  test("B1: a miss repeats both", async () => {
    const world = createWorld();
    const asked = await world.asks("wWw.Example", "A", { id: 0xbeef });
    await world.upstream.answers(data);
    expect(echoed(asked.octets())).toEqual(echoed(asked.query));
  });

  test("B1: a hit repeats its own, and is blind to the spelling that was learned", async () => {
    const world = createWorld();
    await learn(world, "wWw.Example", "A", data, { id: 1 });
    const asked = await world.asks("WwW.eXAMPLE", "A", { id: 2 });
    expect(echoed(asked.octets())).toEqual(echoed(asked.query));
    expect(world.upstream.received).toHaveLength(1);
  });

  test("B1: a denial from the cache repeats both", async () => {
    const world = createWorld();
    await learn(world, name, "A", denial);
    const asked = await world.asks("wwW.example", "A", { id: 7 });
    expect(echoed(asked.octets())).toEqual(echoed(asked.query));
    expect(asked.reply().rcode).toBe(nxdomain);
  });

  test("B1: SERVFAIL repeats both, fresh and remembered", async () => {
    const world = createWorld();
    const first = await world.asks("wWw.example", "A", { id: 1 });
    await world.upstream.fails();
    const second = await world.asks("Www.example", "A", { id: 2 });
    expect(echoed(first.octets())).toEqual(echoed(first.query));
    expect(echoed(second.octets())).toEqual(echoed(second.query));
  });

  test("B1: a truncated reply repeats both", async () => {
    const world = createWorld();
    const asked = await world.asks("wWw.Example", "A", { id: 0xffff });
    await world.upstream.answers(huge);
    expect(asked.reply().flags & Flags.TC).toBe(Flags.TC);
    expect(echoed(asked.octets())).toEqual(echoed(asked.query));
  });

  test("B1: the upstream is asked in lower case, with no client's ID", async () => {
    const world = createWorld();
    await world.asks("wWw.Example", "A", { id: 0xbeef });
    expect(world.upstream.received).toMatchObject([{ id: 0, name: "www.example" }]);
  });
});

describe("flags", () => {
  test.each<[string, UpstreamReply, number]>([
    ["data", data, 0x8180],
    ["data with AA", { ...data, flags: Flags.AA }, 0x8580],
    ["NODATA", nodata, 0x8180],
    ["NODATA with AA", { ...nodata, flags: Flags.AA }, 0x8580],
    ["NXDOMAIN", denial, 0x8183],
    ["NXDOMAIN with AA", { ...denial, flags: Flags.AA }, 0x8583],
  ])("B2, P3: %s has the same flags on the miss and on the hit", async (_, reply, flags) => {
    const world = createWorld();
    expect((await learn(world, name, "A", reply)).flags).toBe(flags);
    expect((await world.asks(name, "A")).reply().flags).toBe(flags);
    expect(world.upstream.received).toHaveLength(1);
  });

  test("B2: SERVFAIL is 8182 and has no AA", async () => {
    const world = createWorld();
    expect((await learn(world, name, "A", { rcode: 2, flags: Flags.AA })).flags).toBe(0x8182);
  });

  test.each([
    ["without AA", 0, 0x8380],
    ["with AA", Flags.AA, 0x8780],
  ])("B2: a truncated reply %s", async (_, flags, expected) => {
    const world = createWorld();
    expect((await learn(world, name, "A", { ...huge, flags })).flags).toBe(expected);
    expect((await world.asks(name, "A")).reply().flags).toBe(expected);
  });

  test("B2: CD is copied, and RA is there without RD", async () => {
    const world = createWorld();
    expect((await learn(world, name, "A", data, { flags: Flags.RD | Flags.CD })).flags).toBe(0x8190);
    expect((await learn(world, name, "A", data, { flags: 0 })).flags).toBe(0x8080);
  });

  test("B2: RA is ours, whatever the upstream says of itself", async () => {
    const world = createWorld();
    expect((await learn(world, name, "A", { ...nodata, lacksRa: true })).flags).toBe(0x8180);
  });

  test("E7: Z of a client and Z of an upstream are 0 in replies", async () => {
    const world = createWorld();
    const reply = await learn(world, name, "A", { ...data, flags: Flags.Z }, { flags: Flags.RD | Flags.Z });
    expect(reply.flags & Flags.Z).toBe(0);
    expect((await world.asks(name, "A")).reply().flags & Flags.Z).toBe(0);
    expect(world.upstream.received.map(({ flags }) => flags & Flags.Z)).toEqual([0]);
  });

  test("C12: AD is for clients that understand it: those with AD, those with DO", async () => {
    const world = createWorld();
    const authenticated = { ...data, flags: Flags.AD };
    expect((await learn(world, name, "A", authenticated)).flags & Flags.AD).toBe(0);
    expect((await world.asks(name, "A", { flags: Flags.RD | Flags.AD })).reply().flags & Flags.AD).toBe(Flags.AD);
    expect((await world.asks(name, "A", { opt: {} })).reply().flags & Flags.AD).toBe(0);
    expect(world.upstream.received).toHaveLength(1);
    const withDo = await learn(world, name, "A", authenticated, { opt: { dnssecOk: true } });
    expect(withDo.flags & Flags.AD).toBe(Flags.AD);
  });

  test("C12, P4: nobody is told AD that the upstream did not say", async () => {
    const world = createWorld();
    expect((await learn(world, name, "A", data, { flags: Flags.RD | Flags.AD })).flags & Flags.AD).toBe(0);
  });
});

describe("EDNS", () => {
  test("E1: none comes back to a client that sent none, on miss and hit", async () => {
    const world = createWorld();
    expect(
      (await learn(world, name, "A", { ...data, opt: { options: [{ code: 15, data: Uint8Array.of(0, 1) }] } })).opts,
    ).toEqual([]);
    expect((await world.asks(name, "A")).reply().opts).toEqual([]);
  });

  test.each<[string, TestOpt, boolean]>([
    ["without DO", {}, false],
    ["with DO", { dnssecOk: true }, true],
    ["with an unknown flag", { flags: 0x0040 }, false],
    ["of 4096 octets", { udpSize: 4096 }, false],
  ])("E2, E5, E6: one comes back to a client that sent one %s, with our own size", async (_, opt, dnssecOk) => {
    const world = createWorld();
    const expected = [{ udpSize: 1232, version: 0, upperRcode: 0, flags: 0, options: [], dnssecOk, isLast: true }];
    expect((await learn(world, name, "A", data, { opt })).opts).toEqual(expected);
    expect((await world.asks(name, "A", { opt })).reply().opts).toEqual(expected);
    expect(world.upstream.received).toHaveLength(1);
  });

  test("E2: errors carry it as well", async () => {
    const world = createWorld();
    expect((await learn(world, name, "A", { rcode: 2 }, { opt: { dnssecOk: true } })).opts).toMatchObject([
      { dnssecOk: true },
    ]);
  });

  test.each<[string, TestOpt]>([
    ["alone", { version: 1 }],
    ["with an unknown flag", { version: 1, flags: 0x0040 }],
    ["with an unknown option", { version: 1, options: [{ code: 100, data: Uint8Array.of(1) }] }],
    ["with DO", { version: 1, dnssecOk: true }],
  ])("E3: version 1 %s is BADVERS, and nobody is asked", async (_, opt) => {
    const world = createWorld();
    const reply = (await world.asks(name, "A", { opt })).reply();
    expect(reply).toMatchObject({ rcode: 16, answers: [], opts: [{ version: 0, upperRcode: 1, flags: 0 }] });
    expect(reply.opts[0]?.dnssecOk).toBe(opt.dnssecOk === true);
    expect(world.upstream.received).toHaveLength(0);
  });

  const options = [
    { code: 100, data: Uint8Array.of(1, 2, 3) },
    { code: 3, data: new Uint8Array(0) },
    { code: 9, data: new Uint8Array(0) },
    { code: 12, data: new Uint8Array(20) },
    { code: 10, data: new Uint8Array(8) },
    { code: 11, data: new Uint8Array(0) },
    { code: 8, data: Uint8Array.of(0, 1, 24, 0, 192, 0, 2) },
  ];

  test("E4: options are not echoed, and none of them goes upstream", async () => {
    const world = createWorld();
    const reply = await learn(world, name, "A", data, { opt: { udpSize: 512, options } });
    expect(reply).toMatchObject({ rcode: 0, opts: [{ options: [] }] });
    expect(world.upstream.received).toMatchObject([{ opts: [{ udpSize: 1232, options: [], dnssecOk: false }] }]);
  });

  test("E4: no option of the upstream reaches a client, not even through the cache", async () => {
    const world = createWorld();
    const reply = await learn(world, name, "A", { ...data, opt: { udpSize: 4096, options } }, { opt: {} });
    expect(reply.opts).toMatchObject([{ udpSize: 1232, options: [] }]);
    expect((await world.asks(name, "A", { opt: {} })).reply().opts).toMatchObject([{ udpSize: 1232, options: [] }]);
  });

  test("E8: client subnets do not split a question: two of them in flight ask once", async () => {
    const world = createWorld();
    const subnet = (octet: number) => ({
      opt: { options: [{ code: 8, data: Uint8Array.of(0, 1, 24, 0, 10, 0, octet) }] },
    });
    const asked = [await world.asks(name, "A", subnet(1)), await world.asks(name, "A", subnet(2))];
    await world.upstream.answers(data);
    expect(asked.map((each) => each.reply().answers.length)).toEqual([1, 1]);
    expect(world.upstream.received).toHaveLength(1);
  });

  test("DO is asked upstream for the clients that set it, and for no other", async () => {
    const world = createWorld();
    await world.asks(name, "A");
    await world.asks(name, "A", { opt: { dnssecOk: true } });
    expect(world.upstream.received.map(({ opts }) => opts[0]?.dnssecOk)).toEqual([false, true]);
  });
});

describe("size", () => {
  const limits: [string, TestOpt | undefined, number][] = [
    ["no EDNS", undefined, 512],
    ["a size of 0", { udpSize: 0 }, 512],
    ["a size of 511", { udpSize: 511 }, 512],
    ["512", { udpSize: 512 }, 512],
    ["1000", { udpSize: 1000 }, 1000],
    ["1232", { udpSize: 1232 }, 1232],
    ["4096: more than we send", { udpSize: 4096 }, 1232],
  ];

  test.each(limits)(
    "S1, E6: a client with %s gets what fits, from upstream and from the cache",
    async (_, opt, limit) => {
      const world = createWorld();
      const details = opt === undefined ? {} : { opt };
      const miss = await world.asks(name, "A", details);
      await world.upstream.answers(huge);
      const hit = await world.asks(name, "A", details);
      const recordSize = nameBytes(name).length + 14;
      for (const asked of [miss, hit]) {
        const size = asked.octets().length;
        const { flags, trailingBytes, opts } = asked.reply();
        // As many whole records as fit: one more would not.
        expect([size <= limit, size + recordSize > limit]).toEqual([true, true]);
        expect(flags & Flags.TC).toBe(Flags.TC);
        expect(trailingBytes).toBe(0);
        expect(opts.map(({ isLast }) => isLast)).toEqual(opt === undefined ? [] : [true]);
      }
      expect(world.upstream.received).toHaveLength(1);
    },
  );

  test("S1: all of it comes over TCP, from the entry that a UDP query filled", async () => {
    const world = createWorld();
    await learn(world, name, "A", huge);
    const reply = (await world.asks(name, "A", { over: "tcp" })).reply();
    expect(reply.answers).toHaveLength(120);
    expect(reply.flags & Flags.TC).toBe(0);
    expect(world.upstream.received).toHaveLength(1);
  });

  test("S2: 65,535 octets go over TCP intact", async () => {
    const world = createWorld();
    const strings = Array.from({ length: 237 }, () => txt(name, "x".repeat(249), 300));
    const frame = 12 + nameBytes(name).length + 4;
    const size = (records: typeof strings) =>
      records.reduce((sum, { data: rdata }) => sum + nameBytes(name).length + 10 + rdata.length, frame);
    const left = 65_535 - size(strings) - (nameBytes(name).length + 10);
    const filler = { name, type: Type.TXT, ttl: 300, data: new Uint8Array(left) };
    const asked = await world.asks(name, "TXT", { over: "tcp" });
    await world.upstream.answers({ answers: [...strings, filler], opt: undefined });
    expect(asked.octets()).toHaveLength(65_535);
    const again = await world.asks(name, "TXT", { over: "tcp" });
    expect(again.octets()).toEqual(asked.octets());
    expect(again.reply().answers).toHaveLength(238);
  });

  test("S3: a truncated reply is relayed as truncated, and asked again", async () => {
    const world = createWorld();
    expect((await learn(world, name, "A", { ...data, flags: Flags.TC })).flags & Flags.TC).toBe(Flags.TC);
    expect((await world.asks(name, "A")).isWaiting()).toBe(true);
    expect(world.upstream.received).toHaveLength(2);
  });

  test.each([
    ["without a record becomes SERVFAIL", {}, 2, 0],
    ["with a record stays as it is", data, 0, Flags.TC],
    ["that denies the name stays as it is", { rcode: nxdomain }, 3, Flags.TC],
  ])("S3: to a client on TCP a truncated reply %s", async (_, reply, rcode, truncation) => {
    const world = createWorld();
    const asked = await world.asks(name, "A", { over: "tcp" });
    await world.upstream.answers({ ...reply, flags: Flags.TC });
    expect([asked.reply().rcode, asked.reply().flags & Flags.TC]).toEqual([rcode, truncation]);
  });

  test("a chain of aliases is cut from its end", async () => {
    const world = createWorld();
    const answers = [
      cname(name, "far.example", 300),
      ...huge.answers!.map((record) => ({ ...record, name: "far.example" })),
    ];
    const reply = await learn(world, name, "A", { answers });
    expect(reply.answers[0]).toMatchObject({ type: Type.CNAME });
    expect(reply.answers.length).toBeGreaterThan(1);
  });
});

describe("what is never looked up", () => {
  test.each([
    ["class CH", "TXT", 3],
    ["class ANY", "TXT", 255],
    ["class 2", "A", 2],
    ["a zone transfer", "AXFR", 1],
    ["an incremental transfer", "IXFR", 1],
    ["TKEY", "TKEY", 1],
    ["TSIG", "TSIG", 1],
    ["OPT", "OPT", 1],
  ] as const)("A10, A11: %s is refused, and nobody is asked", async (_, type, rrClass) => {
    const world = createWorld();
    const reply = (await world.asks(name, type, { class: rrClass })).reply();
    expect(reply.flags & 0xf80f).toBe(0x8005);
    expect(world.upstream.received).toHaveLength(0);
  });

  test("A10: class CH is not served from an entry of class IN", async () => {
    const world = createWorld();
    await learn(world, name, "A", data);
    expect((await world.asks(name, "A", { class: 3 })).reply()).toMatchObject({ rcode: 5, answers: [] });
  });

  test("whoever is not on the access list gets no reply, not even a hit", async () => {
    const world = createWorld();
    await learn(world, name, "A", data);
    const asked = await world.asks(name, "A", { client: "192.0.2.53" });
    expect(asked.isDropped()).toBe(true);
    expect(world.counters.udp.drops.denied).toBe(1);
  });
});
