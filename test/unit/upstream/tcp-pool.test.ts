import { describe, expect, onTestFinished, test } from "vitest";
import { createServerCounters } from "../../../src/upstream/server-counters.ts";
import { createTcpPool, type TcpPoolLimits } from "../../../src/upstream/tcp-pool.ts";
import { createFakeClock, type FakeClock } from "../../support/program/fake-clock.ts";
import { a, concat, replyTo, u16 } from "../../support/messages/messages.ts";
import { type Script, type ScriptedUpstream, until } from "../../support/servers/scripted-upstream.ts";
import {
  answerAll,
  answerNothing,
  closedPort,
  holdQueries,
  oneAtATime,
  startServer,
  tcpLimits,
  track,
  type TrackedAttempt,
} from "./flow-parts.ts";

/** A pool to a port of 127.0.0.1, which is closed when the test ends. */
function createPool(port: number, limits: Partial<TcpPoolLimits> = {}) {
  const clock = createFakeClock();
  const counters = createServerCounters();
  const pool = createTcpPool({ host: "127.0.0.1", port }, { ...tcpLimits, ...limits }, clock, counters);
  onTestFinished(() => pool.close());
  return { pool, clock, counters, sendAll: (names: readonly string[]) => names.map((name) => send(name)), send };

  function send(name: string): TrackedAttempt {
    const tracked = track(name);
    pool.send(tracked.attempt);
    return tracked;
  }
}

function outcomes(tracked: readonly TrackedAttempt[]): string[] {
  return tracked.map((each) => each.outcome());
}

function areAll(tracked: readonly TrackedAttempt[], outcome: string): boolean {
  return tracked.every((each) => each.outcome() === outcome);
}

function numbered(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `q${index}.test`);
}

/** The ports from which a server was asked, in order of their first query. */
function portsOf(server: ScriptedUpstream): number[] {
  return [...new Set(server.received.map(({ port }) => port))];
}

describe("bounds", () => {
  test("no more connections than allowed, none deeper than allowed; the rest waits and is sent as answers come", async () => {
    const held = holdQueries();
    const server = await startServer(held.script);
    const { sendAll, counters } = createPool(server.port, { maxFlows: 3, maxDepth: 2 });
    const tracked = sendAll(numbered(10));
    await until("six have arrived", () => held.waiting.length === 6);
    expect(server.connections.size).toBe(3);
    expect(counters.sends.tcp).toBe(6);
    for (let answered = 1; answered <= 4; answered += 1) {
      held.answer();
      await until("another has arrived", () => server.received.length === 6 + answered);
      expect(held.waiting.length).toBe(6);
    }
    held.answerAllWaiting();
    await until("all are answered", () => areAll(tracked, "answered"));
    expect(counters.openedFlows.tcp).toBe(3);
  });

  test("what waits is sent in its order", async () => {
    const server = await startServer(oneAtATime(answerAll));
    const { sendAll } = createPool(server.port, { maxFlows: 1, maxDepth: 1 });
    const tracked = sendAll(numbered(20));
    await until("all are answered", () => areAll(tracked, "answered"));
    expect(server.received.map(({ name }) => name)).toStrictEqual(numbered(20));
  });

  test("hold with a server that answers one query at a time per connection", async () => {
    let open = 0;
    let mostOpen = 0;
    const serveOne = oneAtATime(async (query) => {
      await new Promise(setImmediate);
      return answerAll(query);
    });
    const server = await startServer(async (query) => {
      open += 1;
      mostOpen = Math.max(mostOpen, open);
      const reply = await serveOne(query);
      open -= 1;
      return reply;
    });
    const { sendAll } = createPool(server.port, { maxFlows: 3, maxDepth: 4 });
    const tracked = sendAll(numbered(500));
    await until("all are answered", () => areAll(tracked, "answered"));
    expect(mostOpen).toBeLessThanOrEqual(12);
    expect(portsOf(server)).toHaveLength(3);
  });

  test("the least loaded connection takes the next query", async () => {
    const held = holdQueries();
    const server = await startServer(held.script);
    const { send, sendAll } = createPool(server.port, { maxFlows: 2, maxDepth: 3 });
    sendAll(numbered(6));
    await until("six have arrived", () => held.waiting.length === 6);
    const [, second] = portsOf(server);
    for (const { name } of server.received.filter(({ port }) => port === second)) held.answer(name);
    const next = send("next.test");
    await until("the next has arrived", () => server.received.length === 7);
    expect(server.received[6]?.port).toBe(second);
    expect(next.outcome()).toBe("waiting");
  });
});

describe("a slow answer", () => {
  test("that is overdue makes the next query open another connection", async () => {
    const held = holdQueries();
    const server = await startServer(held.script);
    const { send, clock, counters } = createPool(server.port);
    send("slow.test");
    await until("it has arrived", () => held.waiting.length === 1);
    await clock.advance(101);
    send("next.test");
    await until("the next has arrived", () => held.waiting.length === 2);
    expect(portsOf(server)).toHaveLength(2);
    expect(counters.openedFlows.tcp).toBe(2);
  });

  test("that is not overdue yet does not", async () => {
    const held = holdQueries();
    const server = await startServer(held.script);
    const { send, clock, counters } = createPool(server.port);
    send("slow.test");
    await until("it has arrived", () => held.waiting.length === 1);
    await clock.advance(99);
    send("next.test");
    await until("the next has arrived", () => held.waiting.length === 2);
    expect(portsOf(server)).toHaveLength(1);
    expect([counters.openedFlows.tcp, counters.reusedFlows.tcp]).toStrictEqual([1, 1]);
  });

  test("does not open more than allowed", async () => {
    const held = holdQueries();
    const server = await startServer(held.script);
    const { send, clock, counters } = createPool(server.port, { maxFlows: 2 });
    for (const name of numbered(5)) {
      send(name);
      await until(`${name} has arrived`, () => server.received.some((query) => query.name === name));
      await clock.advance(101);
    }
    expect(counters.openedFlows.tcp).toBe(2);
  });
});

describe("what waits for room", () => {
  test("is sent on a new connection when the full one is lost", async () => {
    const server = await startServer((query) => {
      if (query.name === "first.test") query.connection?.resetAndDestroy();
      return query.name === "first.test" ? undefined : answerAll(query);
    });
    const { send } = createPool(server.port, { maxFlows: 1, maxDepth: 1 });
    const tracked = [send("first.test"), send("second.test")];
    await until("the second is answered", () => tracked[1]?.outcome() === "answered");
    expect(outcomes(tracked)).toStrictEqual(["closed", "answered"]);
  });
});

describe("a query that is taken back", () => {
  test("while it waits is never sent", async () => {
    const held = holdQueries();
    const server = await startServer(held.script);
    const { pool, send } = createPool(server.port, { maxFlows: 1, maxDepth: 1 });
    const first = send("first.test");
    const second = track("second.test");
    const cancelSecond = pool.send(second.attempt);
    const third = send("third.test");
    await until("the first has arrived", () => held.waiting.length === 1);
    cancelSecond();
    held.answer();
    await until("the third has arrived", () => held.waiting.length === 1);
    held.answer();
    await until("the third is answered", () => third.outcome() === "answered");
    expect(server.received.map(({ name }) => name)).toStrictEqual(["first.test", "third.test"]);
    expect(outcomes([first, second, third])).toStrictEqual(["answered", "waiting", "answered"]);
  });

  test("after it left the queue gives its place to the next", async () => {
    const held = holdQueries();
    const server = await startServer(held.script);
    const { pool, send } = createPool(server.port, { maxFlows: 1, maxDepth: 1 });
    send("first.test");
    const second = track("second.test");
    const cancelSecond = pool.send(second.attempt);
    await until("the first has arrived", () => held.waiting.length === 1);
    held.answer();
    await until("the second has arrived", () => held.waiting.length === 1);
    cancelSecond();
    const third = send("third.test");
    await until("the third has arrived", () => held.waiting.length === 2);
    held.answerAllWaiting();
    await until("the third is answered", () => third.outcome() === "answered");
    expect(second.outcome()).toBe("waiting");
  });

  test("by the loss of another in the queue is not reported lost any more", async () => {
    const { pool } = createPool(await closedPort(), { maxFlows: 1, maxDepth: 1 });
    let cancelThird = () => {};
    const second = track("second.test", () => cancelThird());
    const third = track("third.test");
    pool.send(track("first.test").attempt);
    pool.send(second.attempt);
    cancelThird = pool.send(third.attempt);
    await until("the second is lost", () => second.outcome() !== "waiting");
    expect(outcomes([second, third])).toStrictEqual(["refused", "waiting"]);
  });
});

describe("a worn connection", () => {
  async function agedPool(limits: Partial<TcpPoolLimits> = {}) {
    const held = holdQueries();
    const server = await startServer(held.script);
    const created = createPool(server.port, { maxAgeSeconds: 10, idleTimeoutMs: 3_600_000, ...limits });
    const first = created.send("first.test");
    await until("the first has arrived", () => held.waiting.length === 1);
    held.answer();
    await until("the first is answered", () => first.outcome() === "answered");
    return { held, server, ...created };
  }

  test("takes queries until its successor is connected, and closes behind its last answer", async () => {
    const { held, server, send, clock, counters } = await agedPool();
    const [old] = portsOf(server);
    await clock.advance(12_000);
    const second = send("second.test");
    await until("the second has arrived", () => held.waiting.length === 1);
    expect(held.waiting[0]?.port).toBe(old);
    await until("the successor is connected", () => server.connections.size === 2);
    held.answer();
    await until("the second is answered", () => second.outcome() === "answered");
    // Queries go on until one of them finds the worn connection least loaded, and retires it.
    const later = numbered(4).map((name) => send(name));
    await until("they have arrived", () => held.waiting.length === 4);
    expect(counters.openFlows.tcp).toBe(2);
    held.answerAllWaiting();
    await until("the worn one is closed", () => server.connections.size === 1);
    expect(areAll(later, "answered")).toBe(true);
    const last = send("last.test");
    await until("the last has arrived", () => held.waiting.length === 1);
    expect(held.waiting[0]?.port).not.toBe(old);
    held.answer();
    await until("the last is answered", () => last.outcome() === "answered");
    expect(counters.openedFlows.tcp).toBe(2);
  });

  test("spares queries the handshake of its successor", async () => {
    const { held, server, sendAll, clock } = await agedPool();
    const [old] = portsOf(server);
    await clock.advance(12_000);
    sendAll(["second.test", "third.test", "fourth.test"]);
    await until("they have arrived", () => held.waiting.length === 3);
    expect(held.waiting.map(({ port }) => port)).toStrictEqual([old, old, old]);
  });

  test("is not worn before four fifths of the age", async () => {
    const { held, send, clock, counters } = await agedPool();
    await clock.advance(7999);
    send("second.test");
    await until("the second has arrived", () => held.waiting.length === 1);
    expect(counters.openedFlows.tcp).toBe(1);
  });

  test("may also be worn by the number of its queries", async () => {
    const server = await startServer(answerAll);
    const { send } = createPool(server.port, { maxQueries: 10, maxFlows: 1 });
    for (const name of numbered(100)) {
      const tracked = send(name);
      await until("it is answered", () => tracked.outcome() === "answered");
    }
    const counts = portsOf(server).map((port) => server.received.filter((query) => query.port === port).length);
    expect(counts.length).toBeGreaterThanOrEqual(8);
    // A few more while the successor connects.
    expect(Math.max(...counts)).toBeLessThanOrEqual(13);
  });
});

describe("connections that cannot be had", () => {
  test("a refused connection loses what was sent and what waits", async () => {
    const { sendAll, counters } = createPool(await closedPort(), { maxFlows: 1, maxDepth: 2 });
    const tracked = sendAll(numbered(5));
    await until("all are lost", () => areAll(tracked, "refused"));
    expect(counters.openFlows.tcp).toBe(0);
  });

  test("a handshake without end loses what was sent and what waits after the connect time-out", async () => {
    const server = await startServer(answerAll);
    const { sendAll, clock } = createPool(server.port, { maxFlows: 1, maxDepth: 2, connectTimeoutMs: 500 });
    const tracked = sendAll(numbered(5));
    await clock.advance(500);
    expect(areAll(tracked, "timeout")).toBe(true);
  });

  test("the next query opens a new one", async () => {
    const server = await startServer(answerAll);
    const { send, clock } = createPool(server.port, { connectTimeoutMs: 500 });
    const lost = send("first.test");
    await clock.advance(500);
    const next = send("second.test");
    await until("the next is answered", () => next.outcome() === "answered");
    expect(lost.outcome()).toBe("timeout");
  });
});

describe("a suspect connection", () => {
  test("that was silent since the query left is closed, and all that waits on it is lost", async () => {
    const server = await startServer(answerNothing);
    const { pool, sendAll, clock, counters } = createPool(server.port);
    const tracked = sendAll(numbered(3));
    await until("all have arrived", () => server.received.length === 3);
    const sentAtMs = clock.nowMs();
    await clock.advance(800);
    pool.suspect(sentAtMs);
    expect(areAll(tracked, "timeout")).toBe(true);
    expect(counters.openFlows.tcp).toBe(0);
    await until("the server sees it closed", () => server.connections.size === 0);
  });

  test("that answered something since is kept", async () => {
    const held = holdQueries();
    const server = await startServer(held.script);
    const { pool, sendAll, clock } = createPool(server.port);
    const tracked = sendAll(["slow.test", "quick.test"]);
    await until("both have arrived", () => held.waiting.length === 2);
    const sentAtMs = clock.nowMs();
    await clock.advance(100);
    held.answer("quick.test");
    await until("the quick one is answered", () => tracked[1]?.outcome() === "answered");
    await clock.advance(700);
    pool.suspect(sentAtMs);
    expect(outcomes(tracked)).toStrictEqual(["waiting", "answered"]);
  });

  test("does not take down one that was asked only later", async () => {
    const server = await startServer(answerNothing);
    const { pool, send, clock } = createPool(server.port);
    const sentAtMs = clock.nowMs();
    const first = send("first.test");
    await until("the first has arrived", () => server.received.length === 1);
    await clock.advance(400);
    const second = send("second.test");
    await until("the second has arrived", () => server.received.length === 2);
    await clock.advance(400);
    pool.suspect(sentAtMs);
    expect(outcomes([first, second])).toStrictEqual(["timeout", "waiting"]);
  });
});

describe("a server that ends the connection after every answer", () => {
  /** Asks like an exchange would: what is lost is sent again at once, up to three times in all. */
  function askUntilAnswered(pool: ReturnType<typeof createTcpPool>, name: string) {
    const sends: TrackedAttempt[] = [];
    function send(): void {
      const tracked = track(name, () => {
        if (sends.length < 3) send();
      });
      sends.push(tracked);
      pool.send(tracked.attempt);
    }
    send();
    return { isAnswered: () => sends.some((each) => each.outcome() === "answered"), sendCount: () => sends.length };
  }

  const endAfterAnswer: Script = ({ bytes, name, connection }) => {
    const reply = replyTo(bytes, { answers: [a(name, "10.0.0.1")] });
    if (connection !== undefined && !connection.writableEnded) connection.end(concat([u16(reply.length), reply]));
    return undefined;
  };

  test("still answers every question within three sends", async () => {
    const server = await startServer(endAfterAnswer);
    const { pool, clock } = createPool(server.port);
    const asked = numbered(60).map((name) => askUntilAnswered(pool, name));
    await untilWithTime(clock, "all are answered", () => asked.every((each) => each.isAnswered()));
    expect(Math.max(...asked.map((each) => each.sendCount()))).toBeLessThanOrEqual(3);
  });

  test("is soon asked one question per connection", async () => {
    const server = await startServer(endAfterAnswer);
    const { pool, clock } = createPool(server.port);
    const asked = numbered(30).map((name) => askUntilAnswered(pool, name));
    await untilWithTime(clock, "all are answered", () => asked.every((each) => each.isAnswered()));
    const held = holdQueries();
    server.forget();
    server.answerWith(held.script);
    const later = numbered(3).map((name) => askUntilAnswered(pool, `later-${name}`));
    await untilWithTime(clock, "one has arrived on each connection", () => held.waiting.length === 3);
    expect(portsOf(server)).toHaveLength(3);
    held.answerAllWaiting();
    await until("they are answered", () => later.every((each) => each.isAnswered()));
  });

  test("is asked many at a time again once it keeps its connections", async () => {
    const server = await startServer(endAfterAnswer);
    const { pool, clock } = createPool(server.port, { maxFlows: 1, maxDepth: 8 });
    const asked = numbered(8).map((name) => askUntilAnswered(pool, name));
    await untilWithTime(clock, "all are answered", () => asked.every((each) => each.isAnswered()));
    server.answerWith(answerAll);
    for (const name of numbered(40)) {
      const tracked = askUntilAnswered(pool, name);
      await untilWithTime(clock, "it is answered", () => tracked.isAnswered());
    }
    const held = holdQueries();
    server.answerWith(held.script);
    for (const name of numbered(8)) askUntilAnswered(pool, `deep-${name}`);
    await until("all eight have arrived on one connection", () => held.waiting.length === 8);
    expect(new Set(held.waiting.map(({ port }) => port)).size).toBe(1);
  });

  test("between queries is no reason to lose one", async () => {
    const server = await startServer(answerAll);
    const { send, counters } = createPool(server.port);
    const first = send("first.test");
    await until("it is answered", () => first.outcome() === "answered");
    for (const connection of server.connections) connection.end();
    await until("the connection is closed", () => counters.openFlows.tcp === 0);
    const second = send("second.test");
    await until("the second is answered", () => second.outcome() === "answered");
    expect(portsOf(server)).toHaveLength(2);
  });
});

/** Waits while time passes, a few milliseconds at each look. */
async function untilWithTime(clock: FakeClock, what: string, condition: () => boolean): Promise<void> {
  await until(
    what,
    async () => {
      await clock.advance(2);
      return condition();
    },
    3000,
  );
}

describe("closing", () => {
  test("stops what was sent, what waits and what is sent afterwards", async () => {
    const server = await startServer(answerNothing);
    const { pool, sendAll, send, clock, counters } = createPool(server.port, { maxFlows: 1, maxDepth: 2 });
    const tracked = sendAll(numbered(4));
    await until("two have arrived", () => server.received.length === 2);
    pool.close();
    const late = send("late.test");
    expect(areAll([...tracked, late], "stopped")).toBe(true);
    await until("the server sees it closed", () => server.connections.size === 0);
    expect(counters.openedFlows.tcp).toBe(1);
    expect(clock.pendingTimers()).toBe(0);
  });

  test("goes for connections that retire as well", async () => {
    const held = holdQueries();
    const server = await startServer(held.script);
    const { pool, send, sendAll, clock } = createPool(server.port, { maxAgeSeconds: 1, idleTimeoutMs: 3_600_000 });
    const first = send("first.test");
    await until("the first has arrived", () => held.waiting.length === 1);
    await clock.advance(1200);
    const tracked = [first, ...sendAll(numbered(3))];
    await until("the successor is connected", () => held.waiting.length === 4 && server.connections.size >= 2);
    tracked.push(...sendAll(["a.test", "b.test"]));
    pool.close();
    expect(areAll(tracked, "stopped")).toBe(true);
    await until("the server sees all closed", () => server.connections.size === 0);
  });
});
