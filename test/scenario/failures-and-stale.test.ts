/*
 * What clients are told while upstream fails or is slow: an old answer if there is one, else SERVFAIL, remembered for a moment.
 */
import { describe, expect, test } from "vitest";
import { a, cname, soa, type ReadMessage } from "../support/messages/messages.ts";
import {
  type Asked,
  createWorld,
  learn,
  nxdomain,
  type UpstreamReply,
  type World,
} from "../support/world/create-world.ts";

const name = "www.example";
const servfail = 2;
const refused = 5;
const withEdns = { opt: {} };
const data: UpstreamReply = { answers: [a(name, "192.0.2.1", 10)] };
const denial: UpstreamReply = { rcode: nxdomain, authorities: [soa("example", 300, 300)] };

/** The extended error codes (RFC 8914) of a reply. */
function extendedErrors(reply: ReadMessage): number[] {
  return reply.opts
    .flatMap(({ options }) => options)
    .map(({ data: option }) => ((option[0] ?? 0) << 8) | (option[1] ?? 0));
}

/** A world that knew `www.example`, one second after that expired. */
async function worldWithStale(): Promise<World> {
  const world = createWorld();
  await learn(world, name, "A", data);
  await world.passes(11);
  return world;
}

/** What a client with EDNS is told of an old answer. */
const stale = { rcode: 0, answers: [{ name, ttl: 30 }], extendedErrors: [3] };

function told(asked: Asked): object {
  const reply = asked.reply();
  return { ...reply, extendedErrors: extendedErrors(reply) };
}

describe("failures without an old answer", () => {
  test.each<[string, (world: World) => Promise<void>, number]>([
    ["a timeout", (world) => world.upstream.fails("timeout"), 22],
    ["a port that nobody listens on", (world) => world.upstream.fails("refused"), 23],
    ["a connection that closed", (world) => world.upstream.fails("closed"), 23],
  ])("C8, E9: %s is SERVFAIL with an extended error, then a remembered one", async (_, happens, code) => {
    const world = createWorld();
    const asked = await world.asks(name, "A", withEdns);
    await happens(world);
    expect(asked.reply()).toMatchObject({ rcode: servfail, answers: [] });
    expect(extendedErrors(asked.reply())).toEqual([code]);
    const again = (await world.asks(name, "A", withEdns)).reply();
    expect(again.rcode).toBe(servfail);
    expect(extendedErrors(again)).toEqual([13]);
    expect(world.upstream.received).toHaveLength(1);
  });

  test.each([
    ["SERVFAIL", servfail, servfail],
    ["REFUSED (mostly the upstream's own overload, and musl waits for it)", refused, servfail],
    ["FORMERR", 1, 1],
    ["NOTIMP", 4, 4],
    ["YXDOMAIN, which says something of the name", 6, 6],
    ["a code of the upper bits", 11, servfail],
  ])("C8: %s from upstream", async (_, rcode, told) => {
    const world = createWorld();
    expect((await learn(world, name, "A", { rcode })).rcode).toBe(told);
    const again = await world.asks(name, "A");
    expect(again.reply().rcode).toBe(told);
    expect(world.upstream.received).toHaveLength(1);
    await world.passes(1);
    expect((await world.asks(name, "A")).isWaiting()).toBe(true);
  });

  test("a code that needs EDNS is SERVFAIL too", async () => {
    const world = createWorld();
    expect((await learn(world, name, "A", { opt: { upperRcode: 1 } })).rcode).toBe(servfail);
  });

  test("records beside a failure are not relayed", async () => {
    const world = createWorld();
    expect(await learn(world, name, "A", { ...data, rcode: servfail })).toMatchObject({ rcode: servfail, answers: [] });
  });

  test("while no server answers, a client is told so after 1.8 s, and what it asked still counts", async () => {
    const world = createWorld();
    world.upstream.goesAway();
    const first = await world.asks(name, "A", withEdns);
    await world.passes(1.7);
    expect(first.isWaiting()).toBe(true);
    await world.passes(0.1);
    expect(first.rcode()).toBe(servfail);
    expect(extendedErrors(first.reply())).toEqual([22]);
    const second = await world.asks(name, "A", withEdns);
    await world.passes(1);
    expect(second.isWaiting()).toBe(true);
    await world.upstream.answers(data);
    expect(second.hasData()).toBe(true);
    expect(world.upstream.received).toHaveLength(1);
    expect(world.shared.waiterCount()).toBe(0);
    expect(world.clock.pendingTimers()).toBe(0);
  });

  test("a client of servers that answer others waits as long as it takes", async () => {
    const world = createWorld();
    const asked = await world.asks(name);
    await world.passes(4);
    expect(asked.isWaiting()).toBe(true);
  });

  test("C8: a failure that repeats is remembered for 1, 2, 4, 5 and 5 s", async () => {
    const world = createWorld();
    for (const seconds of [1, 2, 4, 5, 5]) {
      await learn(world, name, "A", { rcode: servfail });
      await world.passes(seconds - 0.001);
      expect((await world.asks(name, "A")).reply().rcode).toBe(servfail);
      await world.passes(0.001);
    }
    expect(world.upstream.received).toHaveLength(5);
  });

  test("an answer ends the series: the next failure is remembered for 1 s again", async () => {
    const world = createWorld();
    await learn(world, name, "A", { rcode: servfail });
    await world.passes(1);
    await learn(world, name, "A", { rcode: servfail });
    await world.passes(2);
    await learn(world, name, "A", { answers: [a(name, "192.0.2.1", 0)] });
    await learn(world, name, "A", { rcode: servfail });
    await world.passes(1);
    expect((await world.asks(name, "A")).isWaiting()).toBe(true);
  });

  test("a failure is of its question alone", async () => {
    const world = createWorld();
    await learn(world, name, "A", { rcode: servfail });
    expect((await world.asks(name, "AAAA")).isWaiting()).toBe(true);
    expect((await world.asks(name, "A", { opt: { dnssecOk: true } })).isWaiting()).toBe(true);
    expect((await world.asks("other.example", "A")).isWaiting()).toBe(true);
  });

  test("when an upstream comes back, what failed a second ago or longer may be asked at once", async () => {
    const world = createWorld();
    await learn(world, name, "A", { rcode: servfail });
    await world.passes(1);
    await learn(world, name, "A", { rcode: servfail });
    await world.passes(0.5);
    world.upstream.recovers();
    expect((await world.asks(name, "A")).reply().rcode).toBe(servfail);
    await world.passes(0.5);
    expect((await world.asks(name, "A")).isWaiting()).toBe(true);
  });

  test("C8: a failure neither evicts nor shadows an answer that lives", async () => {
    const world = createWorld();
    await learn(world, name, "A", data);
    await learn(world, "other.example", "A", { rcode: servfail });
    await world.passes(8.5);
    for (let hits = 0; hits < 3; hits += 1) await world.asks(name, "A");
    await world.passes(0.6);
    expect((await world.asks(name, "A")).reply().rcode).toBe(0);
    await world.upstream.answers({ rcode: servfail });
    expect((await world.asks(name, "A")).reply()).toMatchObject({ rcode: 0, answers: [{ ttl: 1 }] });
  });

  test("a denial in front of nothing is never given stale", async () => {
    const world = createWorld();
    await learn(world, name, "A", denial);
    await world.passes(300);
    const asked = await world.asks(name, "A");
    await world.upstream.fails();
    expect(asked.reply().rcode).toBe(servfail);
  });
});

describe("C13: an old answer", () => {
  test("is given after a refresh failed, with TTL 30 and extended error 3", async () => {
    const world = await worldWithStale();
    const asked = await world.asks(name, "A", withEdns);
    expect(asked.isWaiting()).toBe(true);
    await world.upstream.fails();
    expect(told(asked)).toMatchObject(stale);
  });

  test.each([servfail, refused, 1, 4])("is given instead of rcode %i", async (rcode) => {
    const world = await worldWithStale();
    const asked = await world.asks(name, "A", withEdns);
    await world.upstream.answers({ rcode });
    expect(told(asked)).toMatchObject(stale);
  });

  test("goes without extended error to a client without EDNS", async () => {
    const world = await worldWithStale();
    const asked = await world.asks(name, "A");
    await world.upstream.fails();
    expect(asked.reply()).toMatchObject({ rcode: 0, answers: [{ name, ttl: 30 }], opts: [] });
  });

  test("is given when upstream takes 1.8 s, not before", async () => {
    const world = await worldWithStale();
    const asked = await world.asks(name, "A", withEdns);
    await world.passes(1.799);
    expect(asked.isWaiting()).toBe(true);
    await world.passes(0.001);
    expect(told(asked)).toMatchObject(stale);
  });

  test("is given at once to whoever asks while the slow refresh still runs; no second refresh starts", async () => {
    const world = await worldWithStale();
    await world.asks(name, "A");
    await world.passes(1.5);
    const second = await world.asks(name, "A", { ...withEdns, client: "10.0.0.2" });
    await world.passes(0.3);
    expect(told(second)).toMatchObject(stale);
    await world.passes(1);
    expect(told(await world.asks(name, "A", { ...withEdns, client: "10.0.0.3" }))).toMatchObject(stale);
    expect(world.upstream.received).toHaveLength(2);
  });

  test("is forgotten when the slow refresh brings a new one after all", async () => {
    const world = await worldWithStale();
    await world.asks(name, "A");
    await world.passes(3);
    await world.upstream.answers({ answers: [a(name, "192.0.2.9", 10)] });
    const reply = (await world.asks(name, "A", withEdns)).reply();
    expect(reply.answers).toMatchObject([{ ttl: 10, data: Uint8Array.of(192, 0, 2, 9) }]);
    expect(extendedErrors(reply)).toEqual([]);
  });

  test("is not given when upstream answers in time, and no timer is left", async () => {
    const world = await worldWithStale();
    const asked = await world.asks(name, "A");
    await world.passes(1.7);
    await world.upstream.answers({ answers: [a(name, "192.0.2.9", 10)] });
    expect(asked.reply().answers[0]?.data).toEqual(Uint8Array.of(192, 0, 2, 9));
    expect(world.clock.pendingTimers()).toBe(0);
  });

  test("has TTL 30 on all its records, also on one whose TTL had been longer", async () => {
    const world = createWorld();
    await learn(world, name, "A", { answers: [a(name, "192.0.2.1", 10), a(name, "192.0.2.2", 600)] });
    await world.passes(11);
    const asked = await world.asks(name, "A");
    await world.upstream.fails();
    expect(asked.reply().answers.map(({ ttl }) => ttl)).toEqual([30, 30]);
  });

  test("is the answer for 30 s before upstream is asked again", async () => {
    const world = await worldWithStale();
    await world.asks(name, "A");
    await world.upstream.fails();
    await world.passes(29.999);
    expect(told(await world.asks(name, "A", withEdns))).toMatchObject(stale);
    expect(world.upstream.received).toHaveLength(2);
    await world.passes(0.001);
    expect((await world.asks(name, "A")).isWaiting()).toBe(true);
    expect(world.upstream.received).toHaveLength(3);
  });

  test("the 30 s count from the failure, not from the moment at which clients had waited enough", async () => {
    const world = await worldWithStale();
    await world.asks(name, "A");
    await world.passes(5);
    await world.upstream.fails();
    await world.passes(29.9);
    expect(told(await world.asks(name, "A", withEdns))).toMatchObject(stale);
    expect(world.upstream.received).toHaveLength(2);
  });

  test("comes back to life when an upstream comes back: it is refreshed at once", async () => {
    const world = await worldWithStale();
    await world.asks(name, "A");
    await world.upstream.fails();
    await world.passes(1);
    world.upstream.recovers();
    const asked = await world.asks(name, "A");
    await world.upstream.answers({ answers: [a(name, "192.0.2.9", 10)] });
    expect(asked.reply().answers[0]?.ttl).toBe(10);
  });

  test("is not given after its hour", async () => {
    const world = createWorld();
    await learn(world, name, "A", data);
    await world.passes(10 + 3600);
    const asked = await world.asks(name, "A");
    await world.passes(2);
    expect(asked.isWaiting()).toBe(true);
    await world.upstream.fails();
    expect(asked.reply().rcode).toBe(servfail);
  });

  test("is not given where that is switched off", async () => {
    const world = createWorld({ staleSeconds: 0 });
    await learn(world, name, "A", data);
    await world.passes(11);
    const asked = await world.asks(name, "A");
    await world.upstream.fails();
    expect(asked.reply().rcode).toBe(servfail);
  });

  test("is not given to a question of another type, DO or CD", async () => {
    const world = await worldWithStale();
    const others = [
      await world.asks(name, "AAAA"),
      await world.asks(name, "A", { opt: { dnssecOk: true } }),
      await world.asks(name, "A", { flags: 0x0110 }),
    ];
    for (let open = 0; open < 3; open += 1) await world.upstream.fails();
    expect(others.map((asked) => asked.reply().rcode)).toEqual([servfail, servfail, servfail]);
  });
});

describe("C13: a name with addresses of one family", () => {
  const service = "web.default.svc.cluster.local";
  const noData: UpstreamReply = { authorities: [soa("cluster.local", 5, 5)] };

  /** A world that knew A of the Service and that it has no AAAA, until a second ago. */
  async function expiredService(): Promise<World> {
    const world = createWorld();
    await learn(world, service, "A", { answers: [a(service, "10.96.0.7", 5)] });
    await learn(world, service, "AAAA", noData);
    await world.passes(6);
    return world;
  }

  test("goes stale with its NODATA, for musl takes no address beside SERVFAIL", async () => {
    const world = await expiredService();
    const asked = await world.asks(service, "AAAA");
    await world.upstream.fails();
    expect(asked.reply()).toMatchObject({ rcode: 0, answers: [], authorities: [{ ttl: 30 }] });
  });

  test("NODATA alone does not go stale", async () => {
    const world = createWorld();
    await learn(world, service, "AAAA", noData);
    await world.passes(6);
    const asked = await world.asks(service, "AAAA");
    await world.upstream.fails();
    expect(asked.rcode()).toBe(servfail);
  });

  test("a name of the cluster with a stale answer is asked for again after five seconds, and not before", async () => {
    const world = await expiredService();
    await world.asks(service, "A");
    await world.upstream.fails();
    const before = world.asked.length;
    await world.passes(4.9);
    expect((await world.asks(service, "A")).hasData()).toBe(true);
    expect(world.asked).toHaveLength(before);
    await world.passes(0.1);
    await world.asks(service, "A");
    expect(world.asked).toHaveLength(before + 1);
  });
});

describe("C13: many old answers at once", () => {
  const names = Array.from({ length: 50 }, (_, nth) => `web${nth}.default.svc.cluster.local`);

  /** A world whose names have all failed once since they expired, and whose upstream has come back. */
  async function returnedWorld(): Promise<World> {
    const world = createWorld();
    for (const each of names) await learn(world, each, "A", { answers: [a(each, "10.96.0.7", 5)] });
    await world.passes(6);
    for (const each of names) await world.asks(each, "A");
    while (world.upstream.openCount() > 0) await world.upstream.settlesAll("timeout");
    await world.passes(6);
    world.upstream.recovers();
    return world;
  }

  test("are not all asked for again in the second in which upstream comes back: the others are given meanwhile", async () => {
    const world = await returnedWorld();
    const before = world.asked.length;
    for (let ms = 0; ms < 1000; ms += 100) {
      for (const each of names) await world.asks(each, "A");
      await world.upstream.settlesAll((text) => ({ answers: [a(text.split(" ")[0] ?? "", "10.96.0.8", 5)] }));
      await world.passes(0.1);
    }
    expect(world.asked.length - before).toBeLessThan(names.length / 4);
    expect((await world.asks(names.at(-1) ?? "", "A")).reply()).toMatchObject({ answers: [{ ttl: 30 }] });
    expect(world.resolver.counters.delayedRechecks).toBeGreaterThan(100);
  });

  test("while nothing is answered, one of them is asked for every five seconds", async () => {
    const world = await returnedWorld();
    const before = world.asked.length;
    for (let second = 0; second < 20; second += 1) {
      for (const each of names) await world.asks(each, "A");
      await world.upstream.settlesAll("timeout");
      await world.passes(1);
    }
    expect(world.asked.length - before).toBe(4);
  });
});

describe("C13: what a refresh brings", () => {
  test("NXDOMAIN takes the old answer's place: it is not given any more, even when upstream fails later", async () => {
    const world = await worldWithStale();
    expect((await learn(world, name, "A", { rcode: nxdomain, authorities: [soa("example", 2, 2)] })).rcode).toBe(
      nxdomain,
    );
    await world.passes(2);
    const asked = await world.asks(name, "A");
    await world.upstream.fails();
    expect(asked.reply()).toMatchObject({ rcode: servfail, answers: [] });
  });

  test("NODATA does too", async () => {
    const world = await worldWithStale();
    await learn(world, name, "A", { authorities: [soa("example", 2, 2)] });
    await world.passes(2);
    const asked = await world.asks(name, "A");
    await world.upstream.fails();
    expect(asked.reply().rcode).toBe(servfail);
  });

  test("C13: NXDOMAIN that cannot be kept does too: what was denied is not given as an answer again", async () => {
    const world = await worldWithStale();
    await learn(world, name, "A", { rcode: nxdomain, authorities: [soa("example", 0, 0)] });
    const asked = await world.asks(name, "A");
    await world.upstream.fails();
    expect(asked.reply()).toMatchObject({ rcode: servfail, answers: [] });
  });

  test.each<[string, UpstreamReply]>([
    ["an alias alone", { answers: [cname(name, "b.example", 300)] }],
    ["an empty reply without SOA", {}],
    ["an address of another name", { answers: [a("other.example", "192.0.2.1", 300)] }],
  ])("%s does not: it is relayed, and no ground to throw away what was known", async (_, junk) => {
    const world = await worldWithStale();
    await learn(world, name, "A", junk);
    const asked = await world.asks(name, "A", withEdns);
    await world.upstream.fails();
    expect(told(asked)).toMatchObject(stale);
  });

  test("a cluster name that was deleted is not given as an answer again where denials are not kept at all", async () => {
    const world = createWorld({ maxClusterDenialTtlSeconds: 0 });
    const service = "web.default.svc.cluster.local";
    await learn(world, service, "A", { answers: [a(service, "10.96.0.1", 5)] });
    await world.passes(6);
    await learn(world, service, "A", { rcode: nxdomain, authorities: [soa("cluster.local", 30, 30)] });
    const asked = await world.asks(service, "A");
    await world.upstream.fails();
    expect(asked.reply()).toMatchObject({ rcode: servfail, answers: [] });
  });

  test("a truncated reply leaves the old answer where it is: it is no whole answer", async () => {
    const world = await worldWithStale();
    await learn(world, name, "A", { flags: 0x0200 });
    const asked = await world.asks(name, "A", withEdns);
    await world.upstream.fails();
    expect(told(asked)).toMatchObject(stale);
  });

  test.each([servfail, refused])("rcode %i does not", async (rcode) => {
    const world = await worldWithStale();
    await world.asks(name, "A");
    await world.upstream.answers({ rcode });
    await world.passes(30);
    const asked = await world.asks(name, "A", withEdns);
    await world.upstream.fails();
    expect(told(asked)).toMatchObject(stale);
  });

  test("P2: an AAAA that the cluster denies leaves the A, which is given stale", async () => {
    const world = createWorld();
    const service = "web.default.svc.cluster.local";
    await learn(world, service, "A", { answers: [a(service, "10.96.0.1", 5)] });
    await world.passes(6);
    await learn(world, service, "AAAA", { rcode: nxdomain, authorities: [soa("cluster.local", 2, 2)] });
    await world.passes(2);
    const asked = await world.asks(service, "A");
    await world.upstream.fails();
    expect(asked.reply()).toMatchObject({ rcode: 0, answers: [{ ttl: 30 }] });
  });
});

describe("what is counted", () => {
  test("one stale reply for one client, also when the slow refresh fails in the end", async () => {
    const world = await worldWithStale();
    await world.asks(name, "A");
    await world.passes(5);
    await world.upstream.fails();
    expect(world.resolver.counters.staleAnswers).toBe(1);
    expect(world.resolver.counters.staleAgeSeconds).toBeCloseTo(2.8, 6);
  });

  test("one for each client that waited", async () => {
    const world = await worldWithStale();
    for (const client of ["10.0.0.1", "10.0.0.2", "10.0.0.3"]) await world.asks(name, "A", { client });
    await world.upstream.fails();
    expect(world.resolver.counters).toMatchObject({ staleAnswers: 3, staleAgeSeconds: 3 });
  });

  test("each failure that was told from memory", async () => {
    const world = createWorld();
    await learn(world, name, "A", { rcode: servfail });
    await world.asks(name, "A");
    await world.asks(name, "A");
    expect(world.resolver.counters.cachedFailures).toBe(2);
  });
});
