/*
 * What nodens asks itself is answered whatever happens to the rest, and is no client's traffic.
 */
import { describe, expect, test } from "vitest";
import { ownQuestion } from "../../src/wire/question.ts";
import { nameBytes, Type } from "../support/messages/messages.ts";
import { createWorld, type World } from "../support/world/create-world.ts";

const healthName = "nodens-health.cluster.local";
const probeName = "5ec2e7.nodens-loop-probe.cluster.local";
const here = { client: "127.0.0.1" };
const transports = ["udp", "tcp"] as const;

/** Everything that is counted of clients, to be compared before and after. */
function countsOf({ counters, resolver, cache, shared }: World): string {
  const ofListeners = Object.values(counters).map((each) => ({
    ...each,
    requestsByType: [...each.requestsByType],
    replies: [...each.replies],
    faults: [...each.faults],
  }));
  return JSON.stringify([ofListeners, resolver.counters, cache.counters, shared.waiterCount()]);
}

describe.each(transports)("the health question over %s", (over) => {
  test("is answered without cache or upstream, and counted nowhere", async () => {
    const world = createWorld();
    world.front.queryLog = () => expect.unreachable("a client's query is logged");
    const before = countsOf(world);
    for (let beat = 0; beat < 3; beat += 1) {
      const asked = await world.asks(healthName, "HINFO", { ...here, over });
      expect([asked.rcode(), asked.hasData()]).toEqual([0, true]);
      await world.passes(1);
    }
    expect(world.asked).toEqual([]);
    expect(countsOf(world)).toBe(before);
  });

  test("is answered while the upstream is dead, and while it leads back here", async () => {
    const world = createWorld();
    await world.asks("web.default.svc.cluster.local");
    expect((await world.asks(healthName, "HINFO", { ...here, over })).hasData()).toBe(true);
    await world.fails("web.default.svc.cluster.local A");
    expect((await world.asks(healthName, "HINFO", { ...here, over })).hasData()).toBe(true);
    world.loopGuard.startRound();
    await world.asks(probeName, "HINFO");
    expect(world.loopGuard.isLooping()).toBe(true);
    expect((await world.asks(healthName, "HINFO", { ...here, over })).hasData()).toBe(true);
  });

  test("of a pod is a name as any: nobody hides from the counters behind it", async () => {
    const world = createWorld();
    const before = countsOf(world);
    const asked = await world.asks(healthName, "HINFO", { over });
    expect(asked.isWaiting()).toBe(true);
    expect(world.asked).toEqual([`${healthName} HINFO`]);
    expect(countsOf(world)).not.toBe(before);
  });

  test("for another type is a name as any", async () => {
    const world = createWorld();
    expect((await world.asks(healthName, "A", { ...here, over })).isWaiting()).toBe(true);
  });
});

test("what nodens wants to know is not asked while upstream leads back here: it would come in as a client's query", async () => {
  const world = createWorld();
  world.loopGuard.startRound();
  await world.asks(probeName, "HINFO");
  const asked = await world.askOwn(ownQuestion(nameBytes("dns-version.cluster.local"), Type.TXT));
  expect(asked).toEqual({ failure: "stopped" });
  expect(world.asked).toEqual([]);
});

test("a loop probe that comes back gets no reply, and is counted nowhere", async () => {
  const world = createWorld();
  world.loopGuard.startRound();
  const before = countsOf(world);
  expect((await world.asks(probeName, "HINFO")).isDropped()).toBe(true);
  expect(world.loopGuard.isLooping()).toBe(true);
  expect(countsOf(world)).toBe(before);
});
