import { describe, expect, onTestFinished, test } from "vitest";
import { createServerCounters } from "../../../src/upstream/server-counters.ts";
import { createUdpPool, type UdpPoolLimits } from "../../../src/upstream/udp-pool.ts";
import { createFakeClock } from "../../support/program/fake-clock.ts";
import { type ScriptedUpstream, until } from "../../support/servers/scripted-upstream.ts";
import { answerAll, answerNothing, holdQueries, startServer, track, udpLimits } from "./flow-parts.ts";

/** A pool to a port of 127.0.0.1, which is closed when the test ends. */
function createPool(port: number, limits: Partial<UdpPoolLimits> = {}) {
  const clock = createFakeClock();
  const counters = createServerCounters();
  const pool = createUdpPool({ host: "127.0.0.1", port }, { ...udpLimits, ...limits }, clock, counters);
  onTestFinished(() => pool.close());
  return { pool, clock, counters, ask };

  /** Sends and waits for the answer. */
  async function ask(name: string): Promise<void> {
    const tracked = track(name);
    pool.send(tracked.attempt);
    await until(`${name} is answered`, () => tracked.outcome() === "answered");
  }
}

/** How many queries came from each port, in order of the ports' first. */
function countsByPort(server: ScriptedUpstream): number[] {
  const counts = new Map<number, number>();
  for (const { port } of server.received) counts.set(port, (counts.get(port) ?? 0) + 1);
  return [...counts.values()];
}

async function sendAndAwait(
  { pool }: { pool: ReturnType<typeof createUdpPool> },
  server: ScriptedUpstream,
  count: number,
): Promise<void> {
  const before = server.received.length;
  for (let index = 0; index < count; index += 1) pool.send(track(`q${index}.test`).attempt);
  await until("all have arrived", () => server.received.length === before + count);
}

/** Opens `count` sockets: one more each time the question on the last is overdue. These questions are never answered. */
async function openSockets(created: ReturnType<typeof createPool>, server: ScriptedUpstream, count: number) {
  for (let opened = 1; opened <= count; opened += 1) {
    const before = server.received.length;
    created.pool.send(track(`held${opened}.test`).attempt);
    await until("it has arrived", () => server.received.length === before + 1);
    await created.clock.advance(101);
  }
}

/** Answers every question but those of openSockets. */
const answerOthers: typeof answerAll = (query) => (query.name.startsWith("held") ? undefined : answerAll(query));

describe("sockets", () => {
  test("are one while its questions are answered, or not yet overdue: A and AAAA of a name open no two", async () => {
    const server = await startServer(answerNothing);
    const created = createPool(server.port, { maxFlows: 2 });
    await sendAndAwait(created, server, 10);
    await created.clock.advance(100);
    await sendAndAwait(created, server, 10);
    expect(countsByPort(server)).toStrictEqual([20]);
    expect(created.counters.openedFlows.udp).toBe(1);
  });

  test("are few, and used in turn", async () => {
    const server = await startServer(answerOthers);
    const created = createPool(server.port, { maxFlows: 2 });
    await openSockets(created, server, 2);
    await sendAndAwait(created, server, 98);
    expect(countsByPort(server)).toStrictEqual([50, 50]);
    expect(created.counters.openedFlows.udp).toBe(2);
    expect(created.counters.reusedFlows.udp).toBe(98);
  });

  test("have ports that the next one's cannot be told from", async () => {
    const server = await startServer(answerNothing);
    const created = createPool(server.port, { maxFlows: 40 });
    await openSockets(created, server, 40);
    const ports = [...new Set(server.received.map(({ port }) => port))];
    const steps = new Set(ports.slice(1).map((port, index) => port - (ports[index] ?? 0)));
    expect(ports).toHaveLength(40);
    expect(steps.size).toBeGreaterThan(20);
  });

  test("a question sent again takes another socket", async () => {
    const server = await startServer(answerNothing);
    const { pool, clock } = createPool(server.port, { maxFlows: 2 });
    for (let time = 1; time <= 4; time += 1) {
      pool.send(track("a.test").attempt);
      await until("it has arrived", () => server.received.length === time);
      await clock.advance(800);
    }
    const ports = server.received.map(({ port }) => port);
    for (let time = 1; time < 4; time += 1) expect(ports[time]).not.toBe(ports[time - 1]);
  });
});

describe("a socket retires", () => {
  test("after a number of queries that differs from socket to socket", async () => {
    const server = await startServer(answerNothing);
    const { pool, counters } = createPool(server.port, { maxFlows: 1, maxQueries: 10 });
    // Not by port: the kernel may give one that was closed to a later socket.
    const counts: number[] = [];
    for (let sent = 0; sent < 400; sent += 1) {
      const openedBefore = counters.openedFlows.udp;
      pool.send(track(`q${sent}.test`).attempt);
      if (counters.openedFlows.udp > openedBefore) counts.push(0);
      counts.push((counts.pop() ?? 0) + 1);
    }
    const whole = counts.slice(0, -1);
    expect(whole.length).toBeGreaterThanOrEqual(400 / 12 - 1);
    expect(Math.min(...whole)).toBeGreaterThanOrEqual(8);
    expect(Math.max(...whole)).toBeLessThanOrEqual(12);
    expect(new Set(whole).size).toBeGreaterThan(1);
  });

  test("by age, not before four fifths of it and not after six", async () => {
    const server = await startServer(answerAll);
    const { clock, ask, counters } = createPool(server.port, { maxFlows: 1, maxAgeSeconds: 60 });
    await ask("first.test");
    await clock.advance(47_999);
    await ask("second.test");
    expect(counters.openedFlows.udp).toBe(1);
    await clock.advance(24_001);
    await ask("third.test");
    expect(countsByPort(server)).toStrictEqual([2, 1]);
    expect(counters.openFlows.udp).toBe(1);
  });

  test("at ages that differ from socket to socket", async () => {
    const server = await startServer(answerOthers);
    const created = createPool(server.port, { maxFlows: 20, maxAgeSeconds: 60 });
    await openSockets(created, server, 20);
    const openedBy = new Set<number>();
    for (let step = 0; step < 25; step += 1) {
      await created.clock.advance(1000 + (step === 0 ? 45_000 : 0));
      await sendAndAwait(created, server, 20);
      openedBy.add(created.counters.openedFlows.udp);
    }
    expect(openedBy.size).toBeGreaterThan(3);
  });

  test("and still takes the answers to what waits on it", async () => {
    const held = holdQueries();
    const server = await startServer(held.script);
    const { pool, clock, counters } = createPool(server.port, { maxFlows: 1, maxAgeSeconds: 60 });
    const early = track("early.test");
    pool.send(early.attempt);
    await until("it has arrived", () => held.waiting.length === 1);
    await clock.advance(72_000);
    const late = track("late.test");
    pool.send(late.attempt);
    await until("the second has arrived", () => held.waiting.length === 2);
    expect(counters.openFlows.udp).toBe(2);
    held.answerAllWaiting();
    await until("both are answered", () => early.outcome() === "answered" && late.outcome() === "answered");
    expect(counters.openFlows.udp).toBe(1);
  });
});

describe("closing", () => {
  test("stops what waits and what is sent afterwards", async () => {
    const server = await startServer(answerNothing);
    const { pool, counters } = createPool(server.port);
    const tracked = ["a.test", "b.test", "c.test"].map((name) => track(name));
    for (const { attempt } of tracked) pool.send(attempt);
    pool.close();
    const late = track("late.test");
    pool.send(late.attempt);
    expect([...tracked, late].map((each) => each.outcome())).toStrictEqual(Array.from({ length: 4 }, () => "stopped"));
    expect([counters.openedFlows.udp, counters.openFlows.udp]).toStrictEqual([1, 0]);
  });

  test("goes for sockets that retire as well", async () => {
    const server = await startServer(answerNothing);
    const { pool, clock, counters } = createPool(server.port, { maxFlows: 1, maxAgeSeconds: 60 });
    const early = track("early.test");
    pool.send(early.attempt);
    await clock.advance(72_000);
    const late = track("late.test");
    pool.send(late.attempt);
    pool.close();
    expect([early.outcome(), late.outcome()]).toStrictEqual(["stopped", "stopped"]);
    expect(counters.openFlows.udp).toBe(0);
  });
});
