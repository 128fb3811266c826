/*
 * One question upstream for all who wait for it, and what happens when too many wait.
 */
import { describe, expect, test } from "vitest";
import { a, Flags, nameBytes } from "../support/messages/messages.ts";
import { type Asked, createWorld, learn, type World, type WorldSettings } from "../support/world/create-world.ts";

const name = "www.example";
const data = { answers: [a(name, "192.0.2.1", 10)] };
const servfail = 2;

function clientAt(index: number): string {
  return `10.0.${index >> 8}.${index & 255}`;
}

/** `count` clients ask the same. */
async function crowd(world: World, count: number): Promise<Asked[]> {
  const asked: Asked[] = [];
  for (let index = 0; index < count; index += 1)
    asked.push(await world.asks(name, "A", { client: clientAt(index), id: index }));
  return asked;
}

describe("U5: a crowd that asks the same", () => {
  test("of 1,000 is one question, and each gets its own ID", async () => {
    const world = createWorld();
    const asked = await crowd(world, 1000);
    expect(world.upstream.received).toHaveLength(1);
    await world.upstream.answers(data);
    expect(asked.map((each) => each.reply().id)).toEqual(asked.map((_, index) => index));
    expect(asked.every((each) => each.reply().answers.length === 1)).toBe(true);
    expect(world.resolver.counters.coalesced).toBe(999);
    expect(world.upstream.received).toHaveLength(1);
  });

  test("gets each its own spelling, size, EDNS and transport", async () => {
    const world = createWorld();
    const answers = Array.from({ length: 120 }, (_, index) => a(name, `192.0.2.${index}`, 10));
    const asked = [
      await world.asks("wWw.example", "A", { id: 1 }),
      await world.asks("www.Example", "A", { id: 2, opt: { udpSize: 4096 } }),
      await world.asks("WWW.EXAMPLE", "A", { id: 3, over: "tcp", flags: Flags.RD | Flags.AD }),
    ];
    await world.upstream.answers({ answers, flags: Flags.AD });
    const replies = asked.map((each) => each.reply());
    expect(replies.map(({ id }) => id)).toEqual([1, 2, 3]);
    expect(replies.map(({ questions }) => questions[0]?.name)).toEqual(["wWw.example", "www.Example", "WWW.EXAMPLE"]);
    expect(replies.map(({ flags }) => (flags & Flags.TC) !== 0)).toEqual([true, true, false]);
    expect(replies.map(({ flags }) => (flags & Flags.AD) !== 0)).toEqual([false, false, true]);
    expect(replies.map(({ opts }) => opts.length)).toEqual([0, 1, 0]);
    expect(asked[0]!.octets().length).toBeLessThanOrEqual(512);
    expect(asked[1]!.octets().length).toBeLessThanOrEqual(1232);
    expect(replies[2]?.answers).toHaveLength(120);
    expect(world.upstream.received).toHaveLength(1);
  });

  test("is told of a failure together, and the next who ask start one question, not a thousand", async () => {
    const world = createWorld();
    const asked = await crowd(world, 1000);
    await world.upstream.fails();
    expect(asked.every((each) => each.reply().rcode === servfail)).toBe(true);
    await world.passes(1);
    await crowd(world, 1000);
    expect(world.upstream.received).toHaveLength(2);
  });

  test("leaves nothing behind: no waiter, no question, no timer", async () => {
    const world = createWorld({ maxInFlight: 1, maxWaiters: 10, maxWaitersPerClient: 1 });
    await crowd(world, 10);
    await world.upstream.answers(data);
    await world.passes(10);
    const again = await crowd(world, 10);
    expect(again.every((each) => each.isWaiting())).toBe(true);
    await world.upstream.answers(data);
    expect(world.clock.pendingTimers()).toBe(0);
  });

  test("does not take in who asks with other bits: DO, CD and no RD are questions of their own", async () => {
    const world = createWorld();
    await world.asks(name, "A");
    await world.asks(name, "A", { opt: { dnssecOk: true } });
    await world.asks(name, "A", { flags: Flags.RD | Flags.CD });
    await world.asks(name, "A", { flags: 0 });
    await world.asks(name, "AAAA");
    expect(world.upstream.received).toHaveLength(5);
  });
});

describe("P1: too many", () => {
  const bounds: [string, WorldSettings, "inflight" | "waiters" | "client", (world: World) => Promise<unknown>][] = [
    [
      "questions in flight",
      { maxInFlight: 1 },
      "inflight",
      (world) => world.asks("busy.example", "A", { client: "10.9.9.9" }),
    ],
    [
      "waiters of one route",
      { maxWaiters: 1 },
      "waiters",
      (world) => world.asks("busy.example", "A", { client: "10.9.9.9" }),
    ],
    ["waiters of one client", { maxWaitersPerClient: 1 }, "client", (world) => world.asks("busy.example", "A")],
  ];

  test.each(bounds)("%s: silence, counted, and never REFUSED", async (_, settings, reason, fill) => {
    const world = createWorld(settings);
    await fill(world);
    const asked = await world.asks(name, "A");
    expect(asked.isDropped()).toBe(true);
    expect(world.shed(reason)).toBe(1);
    expect(world.counters.udp.drops[reason]).toBe(1);
  });

  test.each(bounds)("%s: a stale answer where one is held", async (_, settings, reason, fill) => {
    const world = createWorld(settings);
    await learn(world, name, "A", data);
    await world.passes(11);
    await fill(world);
    const reply = (await world.asks(name, "A", { opt: {} })).reply();
    expect(reply).toMatchObject({ rcode: 0, answers: [{ ttl: 30 }] });
    expect(reply.opts[0]?.options).toMatchObject([{ code: 15, data: Uint8Array.of(0, 3) }]);
    expect(world.shed(reason)).toBe(1);
  });

  test.each(bounds)("%s: hits are served all the same", async (_, settings, _reason, fill) => {
    const world = createWorld(settings);
    await learn(world, "known.example", "A", { answers: [a("known.example", "192.0.2.1", 300)] });
    await fill(world);
    expect((await world.asks("known.example", "A")).reply().answers).toHaveLength(1);
  });

  test.each(bounds)("%s: nothing is asked upstream for one who is turned away", async (_, settings, _reason, fill) => {
    const world = createWorld(settings);
    await fill(world);
    await world.asks(name, "A");
    await world.asks(name, "TXT");
    expect(world.upstream.received).toHaveLength(1);
  });

  test("one client cannot take the places of the others by asking for ever new names", async () => {
    const world = createWorld({ maxInFlight: 10, maxWaitersPerClient: 3 });
    for (let index = 0; index < 50; index += 1)
      await world.asks(`random${index}.example`, "A", { client: "10.0.0.66" });
    expect(world.upstream.received).toHaveLength(3);
    expect((await world.asks(name, "A", { client: "10.0.0.1" })).isWaiting()).toBe(true);
  });

  test("the bound is free again once the answers came", async () => {
    const world = createWorld({ maxInFlight: 1, maxWaiters: 1, maxWaitersPerClient: 1 });
    await world.asks("busy.example", "A");
    expect((await world.asks(name, "A")).isDropped()).toBe(true);
    await world.upstream.answers({ answers: [a("busy.example", "192.0.2.1")] });
    expect((await world.asks(name, "A")).isWaiting()).toBe(true);
  });

  test("a question whose clients all got a stale answer still counts as in flight", async () => {
    const world = createWorld({ maxInFlight: 1 });
    await learn(world, name, "A", data);
    await world.passes(11);
    await world.asks(name, "A");
    await world.passes(2);
    expect((await world.asks("other.example", "A")).isDropped()).toBe(true);
  });
});

describe("U5: each answer goes to whoever asked that question", () => {
  test("whatever the order in which upstream answers", async () => {
    const world = createWorld();
    const names = Array.from({ length: 50 }, (_, index) => `host${index}.example`);
    const asked: Asked[] = [];
    for (const [index, host] of names.entries()) asked.push(await world.asks(host, "A", { id: index }));
    for (const [index, host] of [...names.entries()].toReversed()) {
      await world.upstream.answers({ answers: [a(host, `192.0.2.${index}`)] }, { name: host });
    }
    for (const [index, host] of names.entries()) {
      const reply = asked[index]!.reply();
      expect(reply.id).toBe(index);
      expect(reply.answers).toMatchObject([{ name: host, data: Uint8Array.of(192, 0, 2, index) }]);
    }
  });

  test("two names that differ only in where labels end are two questions", async () => {
    const world = createWorld();
    await world.asks("a.b.example", "A");
    await world.asks("a\\.b.example", "A");
    expect(world.upstream.received).toHaveLength(2);
    expect(nameBytes("a.b.example")).toHaveLength(nameBytes("a\\.b.example").length);
  });
});

describe("an upstream that leads back here", () => {
  test("our own probe is dropped, and from then on nothing is forwarded, but hits are served", async () => {
    const world = createWorld();
    await learn(world, name, "A", data);
    world.loopGuard.startRound();
    const probe = await world.asks("5ec2e7.nodens-loop-probe.cluster.local", "HINFO");
    expect(probe.isDropped()).toBe(true);
    expect((await world.asks("other.example", "A")).reply().rcode).toBe(servfail);
    expect((await world.asks(name, "A")).reply().answers).toHaveLength(1);
    expect(world.upstream.received).toHaveLength(1);
  });

  test("forwarding goes on once a round of probes stayed away", async () => {
    const world = createWorld();
    world.loopGuard.startRound();
    await world.asks("5ec2e7.nodens-loop-probe.cluster.local", "HINFO");
    world.loopGuard.endRound();
    world.loopGuard.startRound();
    world.loopGuard.endRound();
    expect((await world.asks(name, "A")).isWaiting()).toBe(true);
  });
});
