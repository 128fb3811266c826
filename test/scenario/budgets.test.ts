/* What stands between many questions and upstream: see src/resolve/schedule-questions.ts. */
import { describe, expect, test } from "vitest";
import { nameToText } from "../../src/wire/name-text.ts";
import type { RouteTaken } from "../../src/resolve/step.ts";
import { a } from "../support/messages/messages.ts";
import { createWorld, denial, learn, type World, type WorldSettings } from "../support/world/create-world.ts";

const servfail = 2;
const service = "web.default.svc.cluster.local";

/** As a cluster has them: its zone over TCP, reverse names, a stub domain and all others over UDP. */
function routeOf(name: Uint8Array): RouteTaken {
  const text = nameToText(name);
  if (text.includes("cluster.local")) return { route: "cluster", transport: "tcp" };
  if (text.includes("in-addr.arpa")) return { route: "reverse", transport: "udp" };
  return { route: text.includes("corp.example") ? "corp.example" : "outside", transport: "udp" };
}

const createRoutedWorld = (settings: WorldSettings = {}) => createWorld({ routeOf, ...settings });

/** `count` names of a client that nobody has asked yet. */
async function asksMany(world: World, client: string, count: number, zone: string): Promise<void> {
  for (let index = 0; index < count; index += 1) await world.asks(`${client}-${index}.${zone}`, "A", { client });
}

describe("a dead stub domain", () => {
  test("and four pods that go on asking it leave the cluster's zone as it was", async () => {
    const world = createRoutedWorld();
    for (const last of [1, 2, 3, 4]) await asksMany(world, `10.0.1.${last}`, 1100, "corp.example");
    const asked = await world.asks(service, "A", { client: "10.0.0.9" });
    await world.answers(`${service} A`, { answers: [a(service, "10.96.0.7")] });
    expect(asked.hasData()).toBe(true);
    expect(world.schedule.underWayCount("corp.example")).toBeLessThanOrEqual(256);
  });

  test("answers SERVFAIL over TCP, and nothing over UDP, to those for whom there is no room", async () => {
    const world = createRoutedWorld({ maxInFlight: 1 });
    await world.asks("one.corp.example", "A", { client: "10.0.0.1" });
    const overTcp = await world.asks("two.corp.example", "A", { client: "10.0.0.2", over: "tcp" });
    const overUdp = await world.asks("two.corp.example", "A", { client: "10.0.0.2" });
    expect(overTcp.rcode()).toBe(servfail);
    expect(overUdp.isDropped()).toBe(true);
    expect(world.shed("inflight")).toBe(2);
    expect(world.counters.udp.drops.inflight).toBe(1);
    expect(world.counters.tcp.drops.inflight).toBe(0);
  });
});

describe("many misses of one pod", () => {
  test("leave another's turn where it is: at once", async () => {
    const world = createRoutedWorld();
    await asksMany(world, "10.0.0.66", 300, "default.svc.cluster.local");
    expect(world.schedule.underWayCount("cluster")).toBe(8);
    await world.asks(service, "A", { client: "10.0.0.9" });
    expect(world.open()).toContain(`${service} A`);
  });

  test("do not hold back what another pod asks of them too", async () => {
    const world = createRoutedWorld();
    await asksMany(world, "10.0.0.66", 300, "default.svc.cluster.local");
    const last = "10.0.0.66-299.default.svc.cluster.local";
    expect(world.open()).not.toContain(`${last} A`);
    await world.asks(last, "A", { client: "10.0.0.9" });
    expect(world.open()).toContain(`${last} A`);
  });

  test("of reverse names that are slow stand in front of no Service", async () => {
    const world = createRoutedWorld();
    for (const last of [1, 2, 3, 4, 5, 6]) await asksMany(world, `10.0.1.${last}`, 300, "10.in-addr.arpa");
    await world.asks(service, "A", { client: "10.0.0.9" });
    expect(world.schedule.underWayCount("cluster")).toBe(1);
  });

  test("are let go after two seconds without a turn, with a stale answer for those who have one", async () => {
    const world = createRoutedWorld({ staleAfterMs: 4000 });
    await learn(world, "10.0.0.66-299.default.svc.cluster.local", "A", {
      answers: [a("10.0.0.66-299.default.svc.cluster.local", "10.96.0.7", 5)],
    });
    await world.passes(6);
    await asksMany(world, "10.0.0.66", 299, "default.svc.cluster.local");
    const known = await world.asks("10.0.0.66-299.default.svc.cluster.local", "A", { client: "10.0.0.66" });
    const unknown = await world.asks("new.default.svc.cluster.local", "A", { client: "10.0.0.66" });
    await world.passes(2);
    expect(known.reply().answers[0]?.ttl).toBe(30);
    expect(unknown.isDropped()).toBe(true);
    expect(world.shed("late")).toBe(293);
    expect(world.asked).toHaveLength(9);
  });

  test("are told SERVFAIL in time where no server answers: that is not for want of room", async () => {
    const world = createRoutedWorld();
    world.upstream.goesAway();
    await asksMany(world, "10.0.0.66", 9, "default.svc.cluster.local");
    const last = "10.0.0.66-8.default.svc.cluster.local";
    expect(world.open()).not.toContain(`${last} A`);
    await world.passes(1.5);
    const again = await world.asks(last, "A", { client: "10.0.0.66" });
    await world.passes(0.5);
    expect(again.rcode()).toBe(servfail);
    expect(world.shed("late")).toBe(1);
  });

  test("that were let go are not remembered as failed: the next one asks", async () => {
    const world = createRoutedWorld();
    await asksMany(world, "10.0.0.66", 9, "default.svc.cluster.local");
    await world.passes(2);
    await world.upstream.settlesAll("timeout");
    await world.asks("10.0.0.66-8.default.svc.cluster.local", "A", { client: "10.0.0.66" });
    expect(world.open()).toEqual(["10.0.0.66-8.default.svc.cluster.local A"]);
  });
});

describe("as many as wait for one question", () => {
  test("are answered, also more than a thousand, from one pod or from many", async () => {
    const world = createRoutedWorld();
    const crowd = [];
    for (let index = 0; index < 2400; index += 1)
      crowd.push(await world.asks(service, "A", { client: index % 2 === 0 ? "10.0.0.1" : `10.0.1.${index % 250}` }));
    await world.answers(`${service} A`, { answers: [a(service, "10.96.0.7")] });
    expect(crowd.filter((each) => each.hasData())).toHaveLength(2400);
    expect(world.asked).toHaveLength(1);
  });
});

describe("what nodens asks for itself", () => {
  test("is two at a time when denials are checked, however many there are, and before no Service", async () => {
    const world = createRoutedWorld({ showsSchema: true, checkOneIn: 1, shortCircuit: "learned" });
    await learn(world, "nope.svc.cluster.local", "A", denial);
    const before = world.asked.length;
    for (let index = 0; index < 2000; index += 1) await world.asks(`x${index}.nope.svc.cluster.local`, "A");
    expect(world.asked.length - before).toBe(2);
    await world.asks(service, "A", { client: "10.0.0.9" });
    expect(world.open()).toContain(`${service} A`);
    expect(world.schedule.waitingCount("cluster")).toBeLessThanOrEqual(16);
  });
});
