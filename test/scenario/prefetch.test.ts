/*
 * Hot names are fetched again shortly before they expire, so that nobody waits for them.
 */
import { describe, expect, test } from "vitest";
import { a, Flags, soa } from "../support/messages/messages.ts";
import { createWorld, learn, nxdomain, type World, type WorldSettings } from "../support/world/create-world.ts";

const name = "www.example";
const servfail = 2;

/** A world that learned `www.example` with TTL 100, after `hits` hits. */
async function hotWorld(hits: number, settings: WorldSettings = {}): Promise<World> {
  const world = createWorld(settings);
  await learn(world, name, "A", { answers: [a(name, "192.0.2.1", 100)] });
  for (let hit = 0; hit < hits; hit += 1) await world.asks(name, "A");
  return world;
}

/** How many questions went upstream after the first one. */
function refreshes(world: World): number {
  return world.upstream.received.length - 1;
}

describe("the third hit or a later one in the last tenth", () => {
  test("starts a refresh, and is itself answered at once", async () => {
    const world = await hotWorld(2);
    await world.passes(90);
    expect((await world.asks(name, "A")).reply()).toMatchObject({ answers: [{ ttl: 10 }] });
    expect(refreshes(world)).toBe(1);
    expect(world.upstream.received[1]).toMatchObject({ name, type: 1 });
    expect(world.resolver.counters.prefetches).toBe(1);
  });

  test("before the last tenth nothing is fetched, however many hits there are", async () => {
    const world = await hotWorld(10);
    await world.passes(89.999);
    await world.asks(name, "A");
    expect(refreshes(world)).toBe(0);
  });

  test("a name with fewer hits is left to expire", async () => {
    const world = await hotWorld(1);
    await world.passes(95);
    await world.asks(name, "A");
    expect(refreshes(world)).toBe(0);
  });

  test("starts one refresh only, also when that takes long or fails", async () => {
    const world = await hotWorld(3);
    await world.passes(90);
    for (let hit = 0; hit < 10; hit += 1) await world.asks(name, "A");
    await world.upstream.fails();
    for (let hit = 0; hit < 10; hit += 1) await world.asks(name, "A");
    expect(refreshes(world)).toBe(1);
  });

  test("starts no second one when the first brought nothing that may be kept", async () => {
    const world = await hotWorld(3);
    await world.passes(90);
    await world.asks(name, "A");
    await world.upstream.answers({ flags: Flags.TC });
    expect((await world.asks(name, "A")).reply().answers).toHaveLength(1);
    expect(refreshes(world)).toBe(1);
  });

  test("without RD counts like any other, but the refresh has RD", async () => {
    const world = await hotWorld(3);
    await world.passes(90);
    await world.asks(name, "A", { flags: 0 });
    expect(world.upstream.received[1]?.flags).toBe(world.upstream.received[0]?.flags);
  });

  test("starts none where that is switched off", async () => {
    const world = await hotWorld(3, { prefetches: false });
    await world.passes(95);
    await world.asks(name, "A");
    expect(refreshes(world)).toBe(0);
  });

  test("starts none when there is no room for it", async () => {
    const world = await hotWorld(3, { maxInFlight: 1 });
    await world.passes(90);
    await world.asks("busy.example", "A");
    expect((await world.asks(name, "A")).reply().answers).toHaveLength(1);
    expect(world.upstream.received.map((query) => query.name)).toEqual([name, "busy.example"]);
  });
});

describe("what the refresh brings", () => {
  /** A hot world in which a refresh is on its way, 5 s before the name expires. */
  async function refreshing(): Promise<World> {
    const world = await hotWorld(3);
    await world.passes(95);
    await world.asks(name, "A");
    expect(refreshes(world)).toBe(1);
    return world;
  }

  test("a new answer takes the old one's place: nobody ever waits", async () => {
    const world = await refreshing();
    await world.upstream.answers({ answers: [a(name, "192.0.2.2", 100)] });
    await world.passes(6);
    expect((await world.asks(name, "A")).reply()).toMatchObject({
      answers: [{ ttl: 94, data: Uint8Array.of(192, 0, 2, 2) }],
    });
    expect(refreshes(world)).toBe(1);
  });

  test("the new answer has to become hot by itself before it is fetched again", async () => {
    const world = await refreshing();
    await world.upstream.answers({ answers: [a(name, "192.0.2.2", 100)] });
    await world.passes(95);
    await world.asks(name, "A");
    expect(refreshes(world)).toBe(1);
  });

  test("NXDOMAIN takes its place", async () => {
    const world = await refreshing();
    await world.upstream.answers({ rcode: nxdomain, authorities: [soa("example", 30, 30)] });
    expect((await world.asks(name, "A")).reply().rcode).toBe(nxdomain);
  });

  test("C8: SERVFAIL leaves it to its end, and then it is asked again: what was fresh has not failed", async () => {
    const world = await refreshing();
    await world.upstream.answers({ rcode: servfail });
    expect((await world.asks(name, "A")).reply()).toMatchObject({ rcode: 0, answers: [{ ttl: 5 }] });
    await world.passes(5);
    const asked = await world.asks(name, "A");
    expect(asked.isWaiting()).toBe(true);
    expect(refreshes(world)).toBe(2);
    await world.upstream.answers({ answers: [a(name, "192.0.2.2", 100)] });
    expect(asked.hasData()).toBe(true);
  });

  test("who asks after the expiry joins the refresh that is still on its way", async () => {
    const world = await refreshing();
    // A refresh 5 s long: 1.8 s were waited for already, so an old answer is given at once.
    await world.passes(5);
    expect((await world.asks(name, "A")).reply()).toMatchObject({ answers: [{ ttl: 30 }] });
    expect(refreshes(world)).toBe(1);
  });

  test("no stale answer is counted for a refresh that nobody waits for", async () => {
    const world = await refreshing();
    await world.passes(3);
    await world.upstream.fails();
    expect(world.resolver.counters).toMatchObject({ staleAnswers: 0, staleAgeSeconds: 0 });
  });
});

test("denials are not fetched again", async () => {
  const world = createWorld();
  await learn(world, name, "A", { rcode: nxdomain, authorities: [soa("example", 100, 100)] });
  for (let hit = 0; hit < 5; hit += 1) await world.asks(name, "A");
  await world.passes(95);
  await world.asks(name, "A");
  expect(refreshes(world)).toBe(0);
});

test("an answer with DO is fetched again with DO", async () => {
  const world = createWorld();
  const details = { opt: { dnssecOk: true } };
  await learn(world, name, "A", { answers: [a(name, "192.0.2.1", 100)] }, details);
  await world.passes(95);
  for (let hit = 0; hit < 3; hit += 1) await world.asks(name, "A", details);
  expect(world.upstream.received.map(({ opts }) => opts[0]?.dnssecOk)).toEqual([true, true]);
});

describe("an upstream that is a cache itself, whose TTL counts down", () => {
  /** A client asks every tenth of a second, for so many lives of the record at upstream. Returns how often upstream was asked. */
  async function asksDuring(lives: number, lifeSeconds: number, round: (seconds: number) => number): Promise<number> {
    const world = createWorld();
    const startMs = world.clock.nowMs();
    let expiresAtMs = startMs;
    for (let tick = 0; tick < lives * lifeSeconds * 10; tick += 1) {
      const asked = await world.asks(name, "A");
      if (world.upstream.openCount() > 0) {
        const nowMs = startMs + tick * 100;
        if (nowMs >= expiresAtMs) expiresAtMs = nowMs + lifeSeconds * 1000;
        const ttl = round((expiresAtMs - nowMs) / 1000);
        await world.upstream.answers({ answers: [a(name, "192.0.2.1", ttl)] });
      }
      expect(asked.hasData()).toBe(true);
      await world.passes(0.1);
    }
    return world.upstream.received.length;
  }

  test.each([
    [30, "up", Math.ceil],
    [30, "down", Math.floor],
    [5, "up", Math.ceil],
    [5, "down", Math.floor],
  ])("is asked once beside its need in each life of %i s, where it rounds %s", async (lifeSeconds, _, round) => {
    expect(await asksDuring(3, lifeSeconds, round)).toBeLessThanOrEqual(6);
  });

  test("keeps what is fresh when it says that nothing is left of it", async () => {
    const world = await hotWorld(3);
    await world.passes(99.5);
    await world.asks(name, "A");
    await world.upstream.answers({ answers: [a(name, "192.0.2.1", 0)] });
    for (let hit = 0; hit < 10; hit += 1) expect((await world.asks(name, "A")).hasData()).toBe(true);
    expect(refreshes(world)).toBe(1);
  });
});
