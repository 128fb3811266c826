/*
 * What is remembered, for how long, and for which questions.
 */
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { a, aaaa, cname, Flags, nameBytes, soa, txt, Type, type ReadMessage } from "../support/messages/messages.ts";
import {
  createWorld,
  learn,
  nxdomain,
  type TypeName,
  type UpstreamReply,
  type World,
} from "../support/world/create-world.ts";

const name = "www.example";

function address(ttl: number): UpstreamReply {
  return { answers: [a(name, "192.0.2.1", ttl)] };
}

function ttlsOf(reply: ReadMessage): number[] {
  return [...reply.answers, ...reply.authorities, ...reply.additionals].map(({ ttl }) => ttl);
}

/** Asks once more and expects a hit: its TTLs. */
async function hitTtls(world: World, type: TypeName = "A"): Promise<number[]> {
  const before = world.upstream.received.length;
  const asked = await world.asks(name, type);
  expect(world.upstream.received).toHaveLength(before);
  return ttlsOf(asked.reply());
}

/** Whether asking once more goes upstream. */
async function isAskedAgain(world: World, type: TypeName = "A"): Promise<boolean> {
  const before = world.upstream.received.length;
  await world.asks(name, type);
  return world.upstream.received.length === before + 1;
}

describe("C1: TTLs count down", () => {
  test("by whole seconds of age, never to 0, and at 5.0 s of 5 it is asked again", async () => {
    const world = createWorld({ prefetches: false });
    await learn(world, name, "A", address(5));
    const seen: number[][] = [];
    for (const step of [0, 0.999, 0.001, 1.5, 2, 0.499]) {
      await world.passes(step);
      seen.push(await hitTtls(world));
    }
    expect(seen.flat()).toEqual([5, 5, 4, 3, 1, 1]);
    await world.passes(0.001);
    expect(await isAskedAgain(world)).toBe(true);
  });

  test("on all records, in every section, and OPT stays as it is", async () => {
    const world = createWorld();
    await learn(world, name, "A", {
      answers: [cname(name, "b.example", 300), a("b.example", "192.0.2.1", 60)],
      authorities: [{ name: "example", type: Type.NS, ttl: 90, data: nameBytes("ns.example") }],
      additionals: [a("ns.example", "192.0.2.2", 80)],
    });
    await world.passes(7);
    const reply = (await world.asks(name, "A", { opt: {} })).reply();
    expect(ttlsOf(reply)).toEqual([293, 53, 83, 73]);
    expect(reply.opts).toMatchObject([{ version: 0, upperRcode: 0, flags: 0, dnssecOk: false }]);
  });

  test("for one who waited, from the moment at which the answer came", async () => {
    const world = createWorld();
    const asked = await world.asks(name, "A");
    await world.passes(1.5);
    await world.upstream.answers(address(5));
    expect(ttlsOf(asked.reply())).toEqual([5]);
    await world.passes(4.9);
    expect(await hitTtls(world)).toEqual([1]);
  });

  test("no TTL of a denial's records reaches 0 while the denial lives", async () => {
    const world = createWorld();
    const signature = { name: "example", type: Type.RRSIG, ttl: 2, data: new Uint8Array(60) };
    const denial = { rcode: nxdomain, authorities: [soa("example", 30, 30), signature] };
    const details = { opt: { dnssecOk: true } };
    await learn(world, name, "A", denial, details);
    await world.passes(1.999);
    expect(ttlsOf((await world.asks(name, "A", details)).reply())).not.toContain(0);
    await world.passes(0.001);
    expect((await world.asks(name, "A", details)).isWaiting()).toBe(true);
  });
});

describe("C2: TTL 0", () => {
  test("is answered with 0 and not stored", async () => {
    const world = createWorld();
    expect(ttlsOf(await learn(world, name, "A", address(0)))).toEqual([0]);
    expect(await isAskedAgain(world)).toBe(true);
  });

  test("is shared by those who already wait", async () => {
    const world = createWorld();
    const waiting = [await world.asks(name, "A"), await world.asks(name, "A", { client: "10.0.0.2" })];
    await world.upstream.answers(address(0));
    expect(waiting.map((asked) => ttlsOf(asked.reply()))).toEqual([[0], [0]]);
    expect(world.upstream.received).toHaveLength(1);
  });

  test("is no stale answer", async () => {
    const world = createWorld();
    await learn(world, name, "A", address(0));
    const asked = await world.asks(name, "A");
    await world.upstream.fails();
    expect(asked.reply()).toMatchObject({ rcode: 2, answers: [] });
  });

  test("takes the place of what was known before: an older answer is not given once a newer one came", async () => {
    const world = createWorld();
    await learn(world, name, "A", address(5));
    await world.passes(6);
    await learn(world, name, "A", { answers: [a(name, "192.0.2.99", 0)] });
    const asked = await world.asks(name, "A");
    await world.upstream.fails();
    expect(asked.reply()).toMatchObject({ rcode: 2, answers: [] });
  });
});

describe("C3: large TTLs", () => {
  test.each([80_000_000, 0x8000_0000, 0xffff_ffff])("%i is positive, and capped to a day", async (ttl) => {
    const world = createWorld();
    expect(ttlsOf(await learn(world, name, "A", address(ttl)))).toEqual([86_400]);
    await world.passes(10);
    expect(await hitTtls(world)).toEqual([86_390]);
  });

  test("none is above a week where the setting allows a week", async () => {
    const world = createWorld({ maxTtlSeconds: 604_800 });
    expect(ttlsOf(await learn(world, name, "A", address(0xffff_ffff)))).toEqual([604_800]);
  });
});

describe("C4: the shortest TTL is the message's", () => {
  test.each<[string, UpstreamReply]>([
    [
      "an alias of 300 to an address of 10",
      { answers: [cname(name, "b.example", 300), a("b.example", "192.0.2.1", 10)] },
    ],
    ["an RRset of 60 and 10", { answers: [a(name, "192.0.2.1", 60), a(name, "192.0.2.2", 10)] }],
  ])("%s", async (_, reply) => {
    const world = createWorld({ prefetches: false });
    await learn(world, name, "A", reply);
    await world.passes(9.999);
    expect(await isAskedAgain(world)).toBe(false);
    await world.passes(0.001);
    expect(await isAskedAgain(world)).toBe(true);
  });
});

describe("C5: denials live min(SOA TTL, MINIMUM)", () => {
  test.each([
    ["NXDOMAIN", nxdomain, 900, 3],
    ["NXDOMAIN", nxdomain, 3, 900],
    ["NODATA", 0, 900, 3],
    ["NODATA", 0, 3, 900],
  ])("%s (rcode %i) with TTL %i and MINIMUM %i lives and shows 3, counting down", async (_, rcode, ttl, minimum) => {
    const world = createWorld();
    const first = await learn(world, name, "A", { rcode, authorities: [soa("example", ttl, minimum)] });
    expect(ttlsOf(first)).toEqual([3]);
    await world.passes(2.5);
    expect(await hitTtls(world)).toEqual([1]);
    await world.passes(0.5);
    expect(await isAskedAgain(world)).toBe(true);
  });
});

describe("what is relayed and not kept", () => {
  const referral: UpstreamReply = {
    authorities: [{ name: "example", type: Type.NS, ttl: 300, data: nameBytes("ns.example") }],
    additionals: [a("ns.example", "192.0.2.2", 300)],
  };

  test.each<[string, UpstreamReply]>([
    ["C6: a referral", referral],
    ["an empty reply of a server that knows nothing of the zone: neither AA nor RA", { lacksRa: true }],
    ["C7: a loop", { answers: [cname(name, "b.example", 300), cname("b.example", name, 300)] }],
    [
      "C7: two targets at one owner",
      { answers: [cname(name, "b.example", 300), cname(name, "c.example", 300), a("b.example", "192.0.2.1", 300)] },
    ],
    ["C7: an unrelated address", { answers: [a("other.example", "192.0.2.1", 300)] }],
    [
      "C7: an unrelated address beside the right one",
      { answers: [a(name, "192.0.2.1", 300), a("other.example", "192.0.2.1", 300)] },
    ],
  ])("%s", async (_, spec) => {
    const world = createWorld();
    const reply = await learn(world, name, "A", spec);
    expect(reply.rcode).toBe(spec.rcode ?? 0);
    expect(reply.answers).toHaveLength(spec.answers?.length ?? 0);
    expect(await isAskedAgain(world)).toBe(true);
    expect(world.resolver.counters.unkeptReplies).toBe(1);
    expect(world.cache.usage("answer").entries + world.cache.usage("denial").entries).toBe(0);
  });

  test("C7: an alias to an absent name is NXDOMAIN of the question, for its type", async () => {
    const world = createWorld();
    const spec = {
      rcode: nxdomain,
      answers: [cname(name, "gone.example", 300)],
      authorities: [soa("example", 30, 30)],
    };
    await learn(world, name, "A", spec);
    const again = (await world.asks(name, "A")).reply();
    expect(again).toMatchObject({ rcode: nxdomain, answers: [{ type: Type.CNAME, ttl: 300 }] });
    expect(await isAskedAgain(world, "AAAA")).toBe(true);
  });

  test("U4: records of other names answer nothing but the question they came with", async () => {
    const world = createWorld();
    await learn(world, name, "A", {
      answers: [a(name, "192.0.2.1", 300)],
      authorities: [{ name: "example", type: Type.NS, ttl: 300, data: nameBytes("ns.example") }],
      additionals: [a("ns.example", "192.0.2.66", 300), a("bank.example", "192.0.2.66", 300)],
    });
    expect((await world.asks("bank.example", "A")).isWaiting()).toBe(true);
    expect((await world.asks("ns.example", "A")).isWaiting()).toBe(true);
    expect((await world.asks("example", "NS")).isWaiting()).toBe(true);
  });
});

describe("C6: denials that no SOA speaks for, as resolvers of clouds send them", () => {
  test.each<[string, UpstreamReply]>([
    ["NXDOMAIN without SOA", { rcode: nxdomain }],
    ["NXDOMAIN without SOA and OPT", { rcode: nxdomain, opt: undefined }],
    ["NODATA without SOA", {}],
    ["NXDOMAIN with the SOA of another zone", { rcode: nxdomain, authorities: [soa("other", 300, 300)] }],
    ["an alias without its end, as kube-dns has for an ExternalName", { answers: [cname(name, "b.example", 300)] }],
    [
      "an alias out of the zone whose SOA denies",
      { rcode: nxdomain, answers: [cname(name, "b.other", 300)], authorities: [soa("example", 300, 300)] },
    ],
  ])("%s is kept for 5 s", async (_, spec) => {
    const world = createWorld();
    const reply = await learn(world, name, "A", spec);
    await world.passes(4.9);
    expect((await world.asks(name, "A")).reply()).toMatchObject({ rcode: reply.rcode, questions: reply.questions });
    expect(world.upstream.received).toHaveLength(1);
    await world.passes(0.1);
    expect(await isAskedAgain(world)).toBe(true);
  });

  test("ten lookups of A and AAAA under a suffix of the node cost one question", async () => {
    const world = createWorld({ suffixes: ["eu-west-1.compute.internal"] });
    const suffixed = "db.eu-west-1.compute.internal";
    await learn(world, suffixed, "A", { rcode: nxdomain, opt: undefined });
    for (let lookup = 0; lookup < 10; lookup += 1) {
      expect((await world.asks(suffixed, "A")).rcode()).toBe(nxdomain);
      expect((await world.asks(suffixed, "AAAA")).rcode()).toBe(nxdomain);
    }
    expect(world.upstream.received).toHaveLength(1);
  });
});

describe("reverse names of the cluster", () => {
  test.each([
    ["3.2.1.10.in-addr.arpa", "10.in-addr.arpa"],
    ["7.0.64.100.in-addr.arpa", "in-addr.arpa"],
    ["1.1.127.100.in-addr.arpa", "in-addr.arpa"],
    [`1.${"0.".repeat(29)}d.f.ip6.arpa`, "ip6.arpa"],
  ])("%s is denied for 5 s at most, whatever the SOA of %s says", async (owner, zone) => {
    const world = createWorld();
    const denied = { rcode: nxdomain, authorities: [soa(zone, 86_400, 86_400)] };
    const reply = await learn(world, owner, "PTR", denied);
    expect(reply.authorities).toMatchObject([{ ttl: 5 }]);
    await world.passes(5);
    expect((await world.asks(owner, "PTR")).isWaiting()).toBe(true);
  });

  test("other reverse names are denied for as long as their zone says", async () => {
    const world = createWorld();
    const denied = { rcode: nxdomain, authorities: [soa("in-addr.arpa", 300, 300)] };
    const reply = await learn(world, "1.1.128.100.in-addr.arpa", "PTR", denied);
    expect(reply.authorities).toMatchObject([{ ttl: 300 }]);
  });
});

describe("names of a stub domain", () => {
  const owner = "web.service.consul";
  const stub = { stubDomains: ["consul"] };

  test("that says that it is dynamic are denied for 5 s at most, data keeps its life", async () => {
    const world = createWorld({ ...stub, dynamicZones: ["consul"] });
    const denied = await learn(world, owner, "A", { rcode: nxdomain, authorities: [soa("consul", 300, 300)] });
    expect(denied.authorities).toMatchObject([{ ttl: 5 }]);
    await world.passes(5);
    await learn(world, owner, "A", { answers: [a(owner, "192.0.2.1", 60)] });
    await world.passes(50);
    expect((await world.asks(owner, "A")).isCached()).toBe(true);
  });

  test("that does not are denied for as long as their zone says", async () => {
    const world = createWorld(stub);
    const denied = await learn(world, owner, "A", { rcode: nxdomain, authorities: [soa("consul", 300, 300)] });
    expect(denied.authorities).toMatchObject([{ ttl: 300 }]);
  });

  test("below the cluster zone are denied as short as the cluster's", async () => {
    const world = createWorld({ stubDomains: ["corp.cluster.local"] });
    const spec = { rcode: nxdomain, authorities: [soa("corp.cluster.local", 300, 300)] };
    expect((await learn(world, "db.corp.cluster.local", "A", spec)).authorities).toMatchObject([{ ttl: 5 }]);
  });
});

describe("an answer section out of order", () => {
  const pop = a("pop.example", "192.0.2.5", 60);
  const edge = cname("edge.example", "pop.example", 60);
  const alias = cname(name, "edge.example", 60);

  test.each([
    ["address first", [pop, edge, alias]],
    ["aliases the wrong way round", [edge, alias, pop]],
    ["an alias twice", [edge, alias, edge, pop]],
  ])("is given alias first, on a miss and on a hit: %s", async (_, answers) => {
    const world = createWorld();
    const miss = await learn(world, name, "A", { answers });
    const hit = (await world.asks(name, "A")).reply();
    for (const reply of [miss, hit]) {
      expect(reply.answers.map((record) => [record.name, record.type])).toEqual([
        [name, Type.CNAME],
        ["edge.example", Type.CNAME],
        ["pop.example", Type.A],
      ]);
    }
    expect(world.upstream.received).toHaveLength(1);
  });
});

describe("several addresses of one name", () => {
  const pods = [1, 2, 3].map((octet) => `10.1.0.${octet}`);
  const last = (reply: { answers: { data: Uint8Array; type: number }[] }) =>
    reply.answers.filter(({ type }) => type === Type.A).map(({ data }) => data.at(-1));

  test.each([
    ["of the name itself", name, []],
    ["behind an alias", "edge.example", [cname(name, "edge.example", 300)]],
  ])("take turns at being first, in their order: %s", async (_, owner, aliases) => {
    const world = createWorld();
    await learn(world, name, "A", { answers: [...aliases, ...pods.map((pod) => a(owner, pod, 300))] });
    const orders = [];
    for (let lookup = 0; lookup < 4; lookup += 1) orders.push(last((await world.asks(name, "A")).reply()));
    expect(orders).toEqual([
      [2, 3, 1],
      [3, 1, 2],
      [1, 2, 3],
      [2, 3, 1],
    ]);
  });

  test("take turns for each question by itself: who asks A and AAAA each time sees all of both", async () => {
    const world = createWorld();
    await learn(world, name, "A", { answers: pods.slice(0, 2).map((pod) => a(name, pod, 300)) });
    await learn(world, name, "AAAA", { answers: [aaaa(name, 1, 300), aaaa(name, 2, 300)] });
    const seen = new Set<number | undefined>();
    for (let lookup = 0; lookup < 2; lookup += 1) {
      seen.add(last((await world.asks(name, "A")).reply())[0]);
      await world.asks(name, "AAAA");
    }
    expect(seen).toEqual(new Set([1, 2]));
  });

  test("of several names keep their place", async () => {
    const world = createWorld();
    const asked = await world.asks(name, "A");
    await world.upstream.answers({ answers: [a(name, "10.1.0.1", 300), a("other.example", "10.1.0.2", 300)] });
    expect(asked.reply().answers.map((record) => [record.name, record.data.at(-1)])).toEqual([
      [name, 1],
      ["other.example", 2],
    ]);
  });
});

describe("signatures and proofs of absence", () => {
  const proof = (owner: string, type: number) => ({ name: owner, type, ttl: 300, data: new Uint8Array(24).fill(1) });
  const signed: UpstreamReply = {
    answers: [
      cname(name, "edge.example", 300),
      proof(name, Type.RRSIG),
      a("edge.example", "192.0.2.1", 300),
      proof("edge.example", Type.RRSIG),
    ],
    authorities: [proof("edge.example", 47), proof("edge.example", 50), soa("example", 300, 300)],
  };

  test("never reach a client without DO, on a miss or a hit, whatever upstream sends", async () => {
    const world = createWorld();
    const miss = await learn(world, name, "A", signed);
    const hit = (await world.asks(name, "A")).reply();
    for (const { answers, authorities } of [miss, hit]) {
      expect(answers.map((record) => [record.name, record.type])).toEqual([
        [name, Type.CNAME],
        ["edge.example", Type.A],
      ]);
      expect(authorities.map((record) => [record.name, record.type])).toEqual([["example", Type.SOA]]);
    }
  });

  test("reach one with DO", async () => {
    const world = createWorld();
    const asked = await world.asks(name, "A", { dnssecOk: true });
    await world.upstream.answers(signed);
    expect(asked.reply()).toMatchObject({ answers: { length: 4 }, authorities: { length: 3 } });
  });

  test("reach one that asks for that type", async () => {
    const world = createWorld();
    const reply = await learn(world, name, "RRSIG", { answers: [proof(name, Type.RRSIG)] });
    expect(reply.answers).toHaveLength(1);
  });

  test("a reply that lost its proof for its size is truncated", async () => {
    const world = createWorld();
    const large = (type: number) => ({ name, type, ttl: 300, data: new Uint8Array(900).fill(1) });
    const authorities = [soa("example", 300, 300), large(47), large(47)];
    const asked = await world.asks(name, "A", { opt: { dnssecOk: true, udpSize: 1232 } });
    await world.upstream.answers({ authorities });
    expect(asked.reply().flags & Flags.TC).toBe(Flags.TC);
  });
});

describe("C12: what makes two questions different", () => {
  test("type, DO and CD each have an answer of their own", async () => {
    const world = createWorld();
    const asks = [
      () => world.asks(name, "A"),
      () => world.asks(name, "AAAA"),
      () => world.asks(name, "A", { opt: { dnssecOk: true } }),
      () => world.asks(name, "A", { flags: Flags.RD | Flags.CD }),
      () => world.asks(name, "A", { flags: Flags.RD | Flags.CD, opt: { dnssecOk: true } }),
    ];
    for (const ask of asks) expect((await ask()).isWaiting()).toBe(true);
    for (const octet of [1, 2, 3, 4, 5]) {
      const record = octet === 2 ? aaaa(name, octet, 300) : a(name, `192.0.2.${octet}`, 300);
      await world.upstream.answers({ answers: [record] });
    }
    const answered = await Promise.all(asks.map(async (ask) => (await ask()).reply().answers[0]?.data.at(-1)));
    expect(answered).toEqual([1, 2, 3, 4, 5]);
    expect(world.upstream.received).toHaveLength(5);
  });

  test("signatures that a client with DO fetched do not reach one without", async () => {
    const world = createWorld();
    const signature = { name, type: Type.RRSIG, ttl: 300, data: new Uint8Array(40) };
    await learn(world, name, "A", { answers: [a(name, "192.0.2.1", 300), signature] }, { opt: { dnssecOk: true } });
    expect((await learn(world, name, "A", address(300))).answers.map(({ type }) => type)).toEqual([Type.A]);
    expect((await world.asks(name, "A")).reply().answers).toHaveLength(1);
    expect((await world.asks(name, "A", { opt: { dnssecOk: true } })).reply().answers).toHaveLength(2);
  });

  test("EDNS itself, its size, AD and the transport do not", async () => {
    const world = createWorld();
    await learn(world, name, "A", address(300));
    for (const details of [
      { opt: {} },
      { opt: { udpSize: 4096 } },
      { flags: Flags.RD | Flags.AD },
      { over: "tcp" as const },
    ]) {
      expect((await world.asks(name, "A", details)).isWaiting()).toBe(false);
    }
  });

  test("A12: ANY is relayed, and fills and reads nothing but ANY", async () => {
    const world = createWorld();
    await learn(world, name, "ANY", { answers: [a(name, "192.0.2.1", 300), txt(name, "x", 300)] });
    expect((await world.asks(name, "ANY")).reply().answers).toHaveLength(2);
    expect(await isAskedAgain(world, "A")).toBe(true);
    expect(await isAskedAgain(world, "TXT")).toBe(true);
  });
});

describe("A13: queries without RD", () => {
  const withoutRd = { flags: 0 };

  test("are answered from the cache, with RD 0", async () => {
    const world = createWorld();
    await learn(world, name, "A", address(300));
    const reply = (await world.asks(name, "A", withoutRd)).reply();
    expect(reply.answers).toHaveLength(1);
    expect(reply.flags & Flags.RD).toBe(0);
  });

  test("are relayed without RD, apart from those with it, and what comes back is never stored", async () => {
    const world = createWorld();
    await world.asks(name, "A");
    await world.asks(name, "A", withoutRd);
    expect(world.upstream.received.map(({ flags }) => flags & Flags.RD)).toEqual([Flags.RD, 0]);
    await world.upstream.fails();
    await world.upstream.answers({ answers: [a(name, "192.0.2.66", 300)] });
    expect(world.cache.usage("answer").entries).toBe(0);
    expect((await world.asks(name, "A", withoutRd)).isWaiting()).toBe(true);
  });

  test("withdraw nothing that is known", async () => {
    const world = createWorld();
    await learn(world, name, "A", address(5));
    await world.passes(6);
    await learn(world, name, "A", { rcode: nxdomain, authorities: [soa("example", 300, 300)] }, withoutRd);
    const asked = await world.asks(name, "A");
    await world.upstream.fails();
    expect(asked.reply().answers).toHaveLength(1);
  });

  test("are never answered stale: not when upstream fails, not when it is slow, not under a bound", async () => {
    const world = createWorld({ maxInFlight: 1 });
    await learn(world, name, "A", address(5));
    await world.passes(6);
    const slow = await world.asks(name, "A", withoutRd);
    await world.passes(3);
    expect(slow.isWaiting()).toBe(true);
    await world.upstream.fails();
    expect(slow.reply()).toMatchObject({ rcode: 2, answers: [] });
    expect((await world.asks(name, "A", withoutRd)).reply()).toMatchObject({ rcode: 2, answers: [] });
    await world.passes(5);
    await world.asks("other.example", "A");
    expect((await world.asks(name, "A", withoutRd)).isDropped()).toBe(true);
  });
});

test.each([3_600_000, -3_600_000])("C14: a wall clock that jumps %i ms changes nothing", async (jumpMs) => {
  vi.useFakeTimers({ toFake: ["Date"] });
  onTestFinished(() => void vi.useRealTimers());
  const world = createWorld();
  await learn(world, name, "A", address(60));
  vi.setSystemTime(Date.now() + jumpMs);
  await world.passes(10);
  expect(await hitTtls(world)).toEqual([50]);
});

test("A14: data of an unknown type comes through octet by octet, on miss and hit", async () => {
  const world = createWorld();
  const data = Uint8Array.of(0xc0, 0x0c, 0, 0xc0, 0x00, 0xff);
  const record = { name, type: Type.PRIVATE, ttl: 300, data };
  expect((await learn(world, name, "PRIVATE", { answers: [record] })).answers[0]?.data).toEqual(data);
  expect((await world.asks(name, "PRIVATE")).reply().answers[0]?.data).toEqual(data);
});

test("a flood of absent names does not push out what is used", async () => {
  const world = createWorld({ denialsSizeBytes: 20_000, answersSizeBytes: 20_000 });
  await learn(world, name, "A", address(300));
  for (let index = 0; index < 200; index += 1) {
    await learn(world, `absent${index}.example`, "A", { rcode: nxdomain, authorities: [soa("example", 300, 300)] });
  }
  expect(await isAskedAgain(world)).toBe(false);
  expect(world.cache.usage("denial").sizeBytes).toBeLessThanOrEqual(20_000);
});
