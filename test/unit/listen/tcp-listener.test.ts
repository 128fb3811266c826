import { connect } from "node:net";
import { once } from "node:events";
import { describe, expect, onTestFinished, test } from "vitest";
import { createAccessList } from "../../../src/listen/access-list.ts";
import { listenTcp, type TcpListenLimits } from "../../../src/listen/tcp-listener.ts";
import { composeQuery } from "../../../src/wire/question.ts";
import { openTcp, type TcpClient } from "../../support/messages/ask.ts";
import { findFreePort } from "../../support/servers/free-port.ts";
import { concat, readMessage, u16 } from "../../support/messages/messages.ts";
import { until } from "../../support/servers/scripted-upstream.ts";
import { addressAnswer, createFront, tcpListenLimits, tcpWays } from "./front-parts.ts";
import { frame, isServed } from "./tcp-queries.ts";
import { describeWith } from "../../support/program/requirements.ts";

describe.each(tcpWays)("listen.batch: %s:", (batch) => {
  /** A listener on a free port, which is closed when the test ends. "hit.test" is in its cache. */
  async function listen(limits: Partial<TcpListenLimits> = {}, host = "127.0.0.1") {
    const parts = createFront();
    parts.resolver.cached.set("hit.test", addressAnswer("hit.test", parts.clock.nowMs()));
    const listener = await listenTcp({ host, port: 0 }, parts.front, { ...tcpListenLimits, ...limits }, batch);
    onTestFinished(() => listener.close());
    return { ...parts, listener, counters: listener.counters, open, connectOnly };

    /** A client that has asked once, and so is accepted. */
    async function open(): Promise<TcpClient> {
      const client = await connectOnly();
      expect(await isServed(client)).toBe(true);
      return client;
    }

    /** A client that has said nothing, which may not be accepted yet. */
    async function connectOnly(): Promise<TcpClient> {
      const client = await openTcp(listener.address.port, host);
      onTestFinished(() => void client.socket.destroy());
      return client;
    }
  }

  describe("a TCP listener", () => {
    test("reports its port, and answers", async () => {
      const { listener, open, counters } = await listen();
      expect(listener.address.port).toBeGreaterThan(0);
      expect([listener.protocol, counters.protocol]).toStrictEqual(["tcp", "tcp"]);
      expect(await isServed(await open())).toBe(true);
      expect([counters.openConnections, counters.acceptedConnections]).toStrictEqual([1, 1]);
    });

    test("does not count a connection on which nodens asked itself, and counts one without a query at its end", async () => {
      const { connectOnly, counters, front } = await listen();
      const query = composeQuery(front.health.question);
      const own = await connectOnly();
      own.socket.write(concat([u16(query.length), query]));
      expect(await own.read(1)).toHaveLength(1);
      own.socket.destroy();
      await until("it is closed", () => counters.openConnections === 0);
      expect([counters.acceptedConnections, counters.requestsByType.some((count) => count > 0)]).toEqual([0, false]);
      const silent = await connectOnly();
      silent.socket.destroy();
      await until("it is counted", () => counters.acceptedConnections === 1);
    });

    test("closes the connection of a client that may not ask, without a reply", async () => {
      const { listener, front, counters } = await listen();
      front.accessList = createAccessList([{ address: "10.0.0.0", prefixLength: 8 }]);
      const client = await openTcp(listener.address.port);
      onTestFinished(() => void client.socket.destroy());
      client.socket.write(frame("hit.test"));
      await until("it is closed", () => client.isEnded());
      expect(await client.read(1)).toStrictEqual([]);
      expect([counters.drops.denied, counters.acceptedConnections, counters.openConnections]).toStrictEqual([1, 0, 0]);
    });

    test("is not disturbed by clients that are gone when it accepts them", async () => {
      const { listener, open } = await listen();
      for (let count = 0; count < 20; count += 1) {
        const socket = connect({ port: listener.address.port, host: "127.0.0.1" });
        socket.on("error", () => {});
        socket.once("connect", () => socket.resetAndDestroy());
        await once(socket, "close");
      }
      expect(await isServed(await open())).toBe(true);
    });

    test("shares a given port with another listener, and leaves to it whatever comes after leaving", async () => {
      const address = { host: "127.0.0.1", port: await findFreePort() };
      const leaving = await listenTcp(address, createFront().front, tcpListenLimits, batch);
      onTestFinished(() => leaving.close());
      const staying = await listenTcp(address, createFront().front, tcpListenLimits, batch);
      onTestFinished(() => staying.close());
      expect([leaving.isShared, staying.isShared]).toStrictEqual([false, true]);
      leaving.leave();
      for (let count = 0; count < 20; count += 1) {
        const client = await openTcp(address.port);
        onTestFinished(() => void client.socket.destroy());
        client.socket.write(frame("hit.test"));
      }
      await until("all are accepted", () => leaving.takenCount() + staying.takenCount() === 20);
      expect([leaving.takenCount(), staying.takenCount()]).toStrictEqual([0, 20]);
    });

    test("still takes connections and answers after leaving, as long as it is alone", async () => {
      const { front, resolver, clock } = createFront();
      resolver.cached.set("hit.test", addressAnswer("hit.test", clock.nowMs()));
      const listener = await listenTcp(
        { host: "127.0.0.1", port: await findFreePort() },
        front,
        tcpListenLimits,
        batch,
      );
      onTestFinished(() => listener.close());
      listener.leave();
      const client = await openTcp(listener.address.port);
      onTestFinished(() => void client.socket.destroy());
      expect(await isServed(client)).toBe(true);
    });

    test("rejects with the system's error when the address is taken", async () => {
      const { listener, front } = await listen();
      const again = listenTcp(listener.address, front, tcpListenLimits, batch);
      await expect(again).rejects.toMatchObject({ code: "EADDRINUSE" });
    });
  });

  describe("idle connections", () => {
    test("are closed after the idle timeout", async () => {
      const { open, clock, counters } = await listen({ idleTimeoutMs: 10_000 });
      const client = await open();
      expect(await isServed(client)).toBe(true);
      await clock.advance(9999);
      expect(await isServed(client)).toBe(true);
      await clock.advance(9499);
      expect(counters.openConnections).toBe(1);
      // Idle connections are looked for twice a second.
      await clock.advance(1001);
      expect(counters.openConnections).toBe(0);
      await until("the client sees it", () => client.isEnded());
      // Closing the longest idle one to make room is another matter.
      expect(counters.evictedConnections).toBe(0);
    });

    test("are closed whatever octets come, unless they complete a query", async () => {
      const { open, clock, counters } = await listen({ idleTimeoutMs: 10_000 });
      const client = await open();
      const other = await open();
      const octets = frame("a-name-long-enough-for-this.test");
      for (let second = 0; second < 12 && counters.openConnections === 2; second += 1) {
        client.socket.write(octets.subarray(second, second + 1));
        // Its octet was read before the query of the other, which was sent later.
        expect(await isServed(other)).toBe(true);
        await clock.advance(1000);
      }
      await until("the client sees it", () => client.isEnded());
      expect(counters.openConnections).toBe(1);
      expect(await isServed(other)).toBe(true);
    });

    test("are closed whatever frames come, unless one gets a reply", async () => {
      const { open, clock, counters } = await listen({ idleTimeoutMs: 10_000 });
      const client = await open();
      for (let second = 1; second <= 11 && counters.openConnections === 1; second += 1) {
        client.socket.write(u16(0));
        await until("the frame is read", () => counters.drops.malformed === second);
        await clock.advance(1000);
      }
      await until("the client sees it", () => client.isEnded());
      expect(await client.read(1)).toStrictEqual([]);
    });

    test("do not count as idle while a query waits for its answer", async () => {
      const { open, clock, resolver, counters } = await listen({ idleTimeoutMs: 1000 });
      const client = await open();
      client.socket.write(frame("slow.test", 5));
      await until("the resolver is asked", () => resolver.waiting.length === 1);
      await clock.advance(5000);
      expect(counters.openConnections).toBe(1);
      resolver.answer("slow.test");
      const [reply] = await client.read(1);
      expect(readMessage(reply as Uint8Array).id).toBe(5);
    });

    test("are closed, whether they come before or after one that waits", async () => {
      const { open, clock, resolver, counters } = await listen({ idleTimeoutMs: 1000 });
      const first = await open();
      const busy = await open();
      busy.socket.write(frame("slow.test"));
      await until("the resolver is asked", () => resolver.waiting.length === 1);
      const last = await open();
      await clock.advance(2000);
      expect(counters.openConnections).toBe(1);
      await until("both see it", () => first.isEnded() && last.isEnded());
      expect(busy.isEnded()).toBe(false);
    });
  });

  describe("more connections than allowed", () => {
    test("close the one that has been idle longest", async () => {
      const { open, clock, counters } = await listen({ maxConnections: 3 });
      const clients = [await open(), await open(), await open()];
      await clock.advance(10);
      expect(await isServed(clients[0] as TcpClient)).toBe(true);
      const fourth = await open();
      await until("the second is closed", () => clients[1]?.isEnded() === true);
      expect(clients.map((client) => client.isEnded())).toStrictEqual([false, true, false]);
      expect(await isServed(fourth)).toBe(true);
      expect([counters.openConnections, counters.evictedConnections]).toStrictEqual([3, 1]);
    });

    test("spare one that waits for an answer as long as there is one that does not", async () => {
      const { open, resolver } = await listen({ maxConnections: 2 });
      const busy = await open();
      busy.socket.write(frame("slow.test"));
      await until("the resolver is asked", () => resolver.waiting.length === 1);
      const idle = await open();
      await open();
      await until("the idle one is closed", () => idle.isEnded());
      resolver.answer("slow.test");
      expect(await busy.read(1)).toHaveLength(1);
    });

    test("close the one that asked longest ago when all wait", async () => {
      const { open, resolver, counters } = await listen({ maxConnections: 2 });
      const clients = [await open(), await open()];
      for (const [index, client] of clients.entries()) {
        client.socket.write(frame(`slow${index}.test`));
        await until("the resolver is asked", () => resolver.waiting.length === index + 1);
      }
      const third = await open();
      await until("the first is closed", () => clients[0]?.isEnded() === true);
      expect(clients[1]?.isEnded()).toBe(false);
      expect(await isServed(third)).toBe(true);
      expect(counters.openConnections).toBe(2);
    });

    test("are still accepted however many they are, and never counted twice", async () => {
      const { open, counters } = await listen({ maxConnections: 10 });
      const clients: TcpClient[] = [];
      for (let count = 0; count < 60; count += 1) clients.push(await open());
      expect(await isServed(clients.at(-1) as TcpClient)).toBe(true);
      await until("the others are closed", () => clients.filter((client) => client.isEnded()).length === 50);
      expect([counters.openConnections, counters.evictedConnections]).toStrictEqual([10, 50]);
      for (const client of clients) client.socket.destroy();
      await until("all are gone", () => counters.openConnections === 0);
      await until("all are counted", () => counters.acceptedConnections === 60);
    });
  });

  test("more connections than one client may have close that client's, and nobody else's", async () => {
    const { listener, open, counters } = await listen({ maxConnectionsPerClient: 3 });
    const other = connect({ port: listener.address.port, host: "127.0.0.1", localAddress: "127.0.0.9" });
    onTestFinished(() => void other.destroy());
    other.write(frame("hit.test"));
    await until("the other is accepted", () => counters.acceptedConnections === 1);
    const clients: TcpClient[] = [];
    for (let count = 0; count < 10; count += 1) clients.push(await open());
    await until("its first ones are closed", () => clients.filter((client) => client.isEnded()).length === 7);
    expect(clients.slice(-3).map((client) => client.isEnded())).toStrictEqual([false, false, false]);
    expect([other.readyState, counters.openConnections]).toStrictEqual(["open", 4]);
  });

  // The kernel keeps them for itself for a second where it can.
  describe("clients that say nothing", () => {
    test("are served when they ask at last", async () => {
      const { listener, connectOnly } = await listen();
      const client = await connectOnly();
      await until("it is accepted", () => listener.takenCount() === 1);
      expect(await isServed(client)).toBe(true);
    });

    test("are closed after the idle timeout", async () => {
      const { connectOnly, clock, counters } = await listen({ idleTimeoutMs: 10_000 });
      const client = await connectOnly();
      await until("it is accepted", () => counters.openConnections === 1);
      await clock.advance(10_500);
      await until("the client sees it", () => client.isEnded());
    });

    test("are no more than one client may have", async () => {
      const { listener, connectOnly, counters } = await listen({ maxConnectionsPerClient: 3 });
      const clients = await Promise.all(Array.from({ length: 10 }, connectOnly));
      await until("all are accepted", () => listener.takenCount() === 10);
      expect([counters.openConnections, counters.evictedConnections]).toStrictEqual([3, 7]);
      await until("the client sees it", () => clients.filter((client) => client.isEnded()).length === 7);
    });
  });

  describe("the end of a listener", () => {
    test("draining answers what waits, closes every connection, and accepts no more", async () => {
      const { listener, open, resolver, counters } = await listen();
      const busy = await open();
      const idle = await open();
      busy.socket.write(frame("slow.test", 4));
      await until("the resolver is asked", () => resolver.waiting.length === 1);
      listener.drain();
      await until("the idle one is ended", () => idle.isEnded());
      expect(busy.isEnded()).toBe(false);
      busy.socket.write(frame("hit.test", 5));
      resolver.answer("slow.test");
      const replies = await busy.read(2);
      expect(replies.map((reply) => readMessage(reply).id)).toStrictEqual([4]);
      for (const client of [busy, idle]) client.socket.end();
      await until("all are gone", () => counters.openConnections === 0);
      await expect(openTcp(listener.address.port)).rejects.toMatchObject({ code: "ECONNREFUSED" });
      await listener.close();
    });

    test("draining ends a connection that is not being read as well, when its client does", async () => {
      const { listener, open, resolver, counters } = await listen({ maxPipelined: 1 });
      const busy = await open();
      busy.socket.write(frame("slow.test"));
      await until("the resolver is asked", () => resolver.waiting.length === 1);
      listener.drain();
      resolver.answer("slow.test");
      expect(await busy.read(1)).toHaveLength(1);
      busy.socket.end();
      await until("it is gone", () => counters.openConnections === 0);
    });

    test("closing closes every connection, and leaves no timer", async () => {
      const { listener, open, resolver, clock } = await listen();
      const [busy, idle] = [await open(), await open()];
      busy.socket.write(frame("slow.test"));
      await until("the resolver is asked", () => resolver.waiting.length === 1);
      await listener.close();
      resolver.answer("slow.test");
      await until("both are ended", () => busy.isEnded() && idle.isEnded());
      expect(clock.pendingTimers()).toBe(0);
    });
  });

  describeWith(["::1"], "a TCP listener on ::1", () => {
    test("answers", async () => {
      const { open } = await listen({}, "::1");
      expect(await isServed(await open())).toBe(true);
    });
  });
});
