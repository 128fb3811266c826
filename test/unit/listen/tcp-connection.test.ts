import { setImmediate as nextTurn, setTimeout as delay } from "node:timers/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import { listenTcp, type TcpListenLimits } from "../../../src/listen/tcp-listener.ts";
import { askTcp, openTcp, type TcpClient } from "../../support/messages/ask.ts";
import { buildQuery, concat, readMessage, txt, Type, u16 } from "../../support/messages/messages.ts";
import { libc } from "../../../src/runtime/libc.ts";
import { countSends, countWrites } from "../../support/servers/count-writes.ts";
import { findFreePort } from "../../support/servers/free-port.ts";
import { until } from "../../support/servers/scripted-upstream.ts";
import type { Miss, MissQueue } from "../../../src/resolve/miss-queue.ts";
import { addressAnswer, createFront, tcpListenLimits, tcpWays } from "./front-parts.ts";
import { frame } from "./tcp-queries.ts";

const bigRecords = Array.from({ length: 190 }, () => txt("big.test", "x".repeat(250)));

describe.each(tcpWays)("listen.batch: %s:", (batch) => {
  /** A listener on a free port, or on this one, which is closed when the test ends. "hit.test" is in its cache, "big.test" with some 50,000 octets. */
  async function listen(limits: Partial<TcpListenLimits> = {}, port = 0) {
    const parts = createFront();
    const { resolver, clock } = parts;
    resolver.cached.set("hit.test", addressAnswer("hit.test", clock.nowMs()));
    resolver.cached.set("big.test", addressAnswer("big.test", clock.nowMs(), bigRecords));
    const listener = await listenTcp(
      { host: "127.0.0.1", port },
      parts.front,
      { ...tcpListenLimits, ...limits },
      batch,
    );
    onTestFinished(() => listener.close());
    return { ...parts, listener, counters: listener.counters, open };

    async function open(): Promise<TcpClient> {
      const client = await openTcp(listener.address.port);
      onTestFinished(() => void client.socket.destroy());
      return client;
    }
  }

  /** How often the listener has written. */
  function countReplies(port: number): () => number {
    const [writes, sends] = [countWrites(({ localPort }) => localPort === port), countSends(port)];
    return () => writes() + sends();
  }

  function frames(...queries: readonly [name: string, id: number][]): Uint8Array {
    return concat(queries.map(([name, id]) => frame(name, id)));
  }

  async function readIds(client: TcpClient, count: number, waitMs?: number): Promise<number[]> {
    return (await client.read(count, waitMs)).map((reply) => readMessage(reply).id);
  }

  function numbered(count: number): [name: string, id: number][] {
    return Array.from({ length: count }, (_, id) => [`q${id}.test`, id]);
  }

  describe("pipelined queries", () => {
    test("are answered as their answers come: a slow first one holds up no other", async () => {
      const { open, resolver } = await listen();
      const client = await open();
      client.socket.write(frames(["slow.test", 100], ...numbered(24)));
      await until("the resolver is asked", () => resolver.waiting.length === 25);
      for (const [name] of numbered(24).toReversed()) resolver.answer(name);
      expect(await readIds(client, 24)).toStrictEqual(Array.from({ length: 24 }, (_, index) => 23 - index));
      resolver.answer("slow.test");
      expect(await readIds(client, 1)).toStrictEqual([100]);
    });

    test("get an answer each when two come in one segment", async () => {
      const { open, resolver } = await listen();
      resolver.answerAtOnce();
      const client = await open();
      client.socket.write(frames(["a.test", 1], ["b.test", 2]));
      const replies = (await client.read(2)).map((reply) => readMessage(reply));
      expect(replies.map(({ id, answers }) => `${id} ${answers[0]?.name}`)).toStrictEqual(["1 a.test", "2 b.test"]);
    });

    test("get the answers that are known at once in one write", async () => {
      const { listener, open } = await listen();
      const writes = countReplies(listener.address.port);
      const client = await open();
      client.socket.write(frames(["hit.test", 1], ["hit.test", 2], ["hit.test", 3]));
      expect(await readIds(client, 3)).toStrictEqual([1, 2, 3]);
      expect(writes()).toBe(1);
    });

    test("get the answers that come in one turn in one write", async () => {
      const { listener, open, resolver } = await listen();
      const writes = countReplies(listener.address.port);
      const client = await open();
      client.socket.write(frames(["a.test", 1], ["b.test", 2], ["c.test", 3]));
      await until("the resolver is asked", () => resolver.waiting.length === 3);
      for (const name of ["a.test", "b.test", "c.test"]) resolver.answer(name);
      expect(await readIds(client, 3)).toStrictEqual([1, 2, 3]);
      expect(writes()).toBe(1);
    });

    test("leave on their own connection when a query of another is turned away in the middle of them", async () => {
      const { front, resolver, clock } = createFront();
      resolver.cached.set("hit.test", addressAnswer("hit.test", clock.nowMs()));
      const waiting: Miss[] = [];
      // A queue with room for one.
      const misses: MissQueue = {
        add(_, miss) {
          for (const full of waiting.splice(0)) full.shed("client");
          waiting.push(miss);
        },
        begin: () => {},
      };
      const limits = { ...tcpListenLimits, maxPipelined: 1 };
      const listener = await listenTcp({ host: "127.0.0.1", port: 0 }, { ...front, misses }, limits, batch);
      onTestFinished(() => listener.close());
      const [one, other] = [await openTcp(listener.address.port), await openTcp(listener.address.port)];
      for (const { socket } of [one, other]) onTestFinished(() => void socket.destroy());
      one.socket.write(frames(["slow.test", 1], ["hit.test", 2]));
      await until("its first waits", () => waiting.length === 1);
      other.socket.write(frames(["hit.test", 7], ["slow.test", 8]));
      expect(await readIds(other, 1)).toStrictEqual([7]);
      expect(await readIds(one, 2)).toStrictEqual([1, 2]);
    });

    test("are read, however the stream is cut", async () => {
      const { open } = await listen();
      const client = await open();
      const octets = frames(["hit.test", 1]);
      for (let cutAt = 1; cutAt < octets.length; cutAt += 1) {
        client.socket.write(octets.subarray(0, cutAt));
        await nextTurn();
        client.socket.write(octets.subarray(cutAt));
        expect(await readIds(client, 1), `cut at ${cutAt}`).toStrictEqual([1]);
      }
    });

    test("are read one octet at a time", async () => {
      const { open } = await listen();
      const client = await open();
      for (const octet of frames(["hit.test", 1], ["hit.test", 2])) {
        client.socket.write(Uint8Array.of(octet));
        await nextTurn();
      }
      expect(await readIds(client, 2)).toStrictEqual([1, 2]);
    });

    test("are answered on one connection in any number", async () => {
      const { listener, resolver } = await listen();
      resolver.answerAtOnce();
      const count = 5000;
      const queries = numbered(count).map(([name, id]) => buildQuery(id % 2 === 0 ? "hit.test" : name, Type.A, { id }));
      const replies = await askTcp(listener.address.port, queries, count, 10_000);
      expect(replies.map((reply) => readMessage(reply).id).toSorted((a, b) => a - b)).toStrictEqual([
        ...Array.from({ length: count }).keys(),
      ]);
    });
  });

  describe("frames that are not queries", () => {
    test.each([0, 1, 11])("one of %i octets gets no reply, and the next query gets its own", async (sizeBytes) => {
      const { open, counters } = await listen();
      const client = await open();
      client.socket.write(concat([u16(sizeBytes), new Uint8Array(sizeBytes), frames(["hit.test", 9])]));
      expect(await readIds(client, 1)).toStrictEqual([9]);
      expect(counters.drops.malformed).toBe(1);
    });

    test("a malformed one gets an error", async () => {
      const { open } = await listen();
      const client = await open();
      client.socket.write(concat([u16(12), u16(7), new Uint8Array(10)]));
      const [reply] = await client.read(1);
      expect(readMessage(reply as Uint8Array)).toMatchObject({ id: 7, rcode: 1 });
    });
  });

  describe("a client that ends its side", () => {
    test("right after its query still gets its answer, and then the connection ends", async () => {
      const { open, resolver, counters } = await listen();
      const client = await open();
      client.socket.end(frames(["hit.test", 1], ["slow.test", 2]));
      await until("the resolver is asked", () => resolver.waiting.length === 1);
      expect(await readIds(client, 1)).toStrictEqual([1]);
      expect(client.isEnded()).toBe(false);
      resolver.answer("slow.test");
      expect(await readIds(client, 1)).toStrictEqual([2]);
      await until("the connection has ended", () => client.isEnded() && counters.openConnections === 0);
    });

    test("without having asked is closed too", async () => {
      const { open, counters } = await listen();
      const client = await open();
      client.socket.end();
      await until("the connection has ended", () => client.isEnded());
      await until("its end is counted", () => counters.openConnections === 0);
      expect(await client.read(1)).toStrictEqual([]);
    });

    test("inside a query is closed without a reply", async () => {
      const { open, counters } = await listen();
      const client = await open();
      client.socket.end(frames(["hit.test", 1]).subarray(0, 9));
      await until("the connection has ended", () => client.isEnded() && counters.openConnections === 0);
      expect(await client.read(1)).toStrictEqual([]);
    });
  });

  describe("a client that resets the connection", () => {
    test("with queries in flight harms nobody else", async () => {
      const { open, resolver, counters } = await listen();
      const gone = await open();
      const other = await open();
      gone.socket.write(frames(...numbered(10)));
      await until("the resolver is asked", () => resolver.waiting.length === 10);
      gone.socket.resetAndDestroy();
      // Half of the answers may come before the reset is noticed, half come after.
      for (const [name] of numbered(5)) resolver.answer(name);
      await until("the reset is noticed", () => counters.openConnections === 1);
      for (const [name] of numbered(10).slice(5)) resolver.answer(name);
      other.socket.write(frames(["hit.test", 1]));
      expect(await readIds(other, 1)).toStrictEqual([1]);
    });

    test("before its answers are written harms nobody else", async () => {
      const { open, counters } = await listen();
      const gone = await open();
      gone.socket.write(frames(...Array.from({ length: 50 }, (): [string, number] => ["big.test", 1])));
      gone.socket.resetAndDestroy();
      await until("the reset is noticed", () => counters.openConnections === 0);
      const other = await open();
      other.socket.write(frames(["hit.test", 1]));
      expect(await readIds(other, 1)).toStrictEqual([1]);
    });
  });

  describe("unanswered queries of one connection are bounded", () => {
    test("queries that come one by one", async () => {
      const { open, resolver } = await listen({ maxPipelined: 2 });
      const client = await open();
      for (const [name, id] of numbered(2)) {
        client.socket.write(frames([name, id]));
        await until("the resolver is asked", () => resolver.waiting.includes(name));
      }
      client.socket.write(frames(["q2.test", 2]));
      // Another connection is served in the meantime, two round trips long: the third query has arrived by now.
      const other = await open();
      for (const id of [1, 2]) {
        other.socket.write(frames(["hit.test", id]));
        expect(await readIds(other, 1)).toStrictEqual([id]);
      }
      expect(resolver.waiting).toStrictEqual(["q0.test", "q1.test"]);
      resolver.answer("q1.test");
      await until("the third is asked", () => resolver.waiting.includes("q2.test"));
      for (const name of ["q0.test", "q2.test"]) resolver.answer(name);
      expect(await readIds(client, 3)).toStrictEqual([1, 0, 2]);
    });

    test("queries that come in one segment", async () => {
      const { open, resolver } = await listen({ maxPipelined: 8 });
      const client = await open();
      client.socket.write(frames(...numbered(100)));
      for (let answered = 0; answered < 100; answered += 1) {
        await until("the resolver is asked", () => resolver.waiting.length > 0);
        resolver.answer(resolver.waiting[0] ?? "");
      }
      expect((await readIds(client, 100)).toSorted((a, b) => a - b)).toStrictEqual([
        ...Array.from({ length: 100 }).keys(),
      ]);
      expect(resolver.mostWaiting()).toBeLessThanOrEqual(8);
    });

    test("queries that are answered before the turn is over", async () => {
      const { open, resolver } = await listen({ maxPipelined: 1 });
      resolver.answerAtOnce();
      const clients = [await open(), await open()];
      // Each segment ends inside a query, whose rest comes with the next one.
      const octets = frames(...numbered(20));
      for (const part of [octets.subarray(0, 100), octets.subarray(100)])
        for (const client of clients) {
          client.socket.write(part);
          await nextTurn();
        }
      for (const client of clients)
        expect((await readIds(client, 20)).toSorted((a, b) => a - b)).toStrictEqual([
          ...Array.from({ length: 20 }).keys(),
        ]);
    });

    test("endless queries: reading stops, and the client's own system keeps the rest", async () => {
      const { open, resolver } = await listen({ maxPipelined: 2 });
      const client = await open();
      const chunk = frames(...Array.from({ length: 25_000 }, (): [string, number] => ["miss.test", 1]));
      // One after the other, so that each is known to have left. Together they are 40 MB, more than any kernel keeps.
      let left = 0;
      const writeNext = (): void => {
        client.socket.write(chunk, (error) => {
          left += 1;
          if (!(error instanceof Error) && left < 50) writeNext();
        });
      };
      writeNext();
      let unchanged = 0;
      for (let before = -1; unchanged < 40; before = left) {
        unchanged = left === before ? unchanged + 1 : 0;
        await delay(5);
      }
      expect(left).toBeLessThan(25);
      expect(resolver.waiting).toStrictEqual(["miss.test", "miss.test"]);
    });

    test("queries that come in one segment, followed by the FIN, are all answered", async () => {
      const { open, resolver, counters } = await listen({ maxPipelined: 4 });
      const client = await open();
      client.socket.end(frames(...numbered(20)));
      for (let answered = 0; answered < 20; answered += 1) {
        await until("the resolver is asked", () => resolver.waiting.length > 0);
        resolver.answer(resolver.waiting[0] ?? "");
      }
      expect((await readIds(client, 20)).toSorted((a, b) => a - b)).toStrictEqual([
        ...Array.from({ length: 20 }).keys(),
      ]);
      await until("the connection has ended", () => counters.openConnections === 0);
    });
  });

  describe("replies that a client leaves unread", () => {
    const flood = frames(...Array.from({ length: 1000 }, (_, id): [string, number] => ["big.test", id]));

    test("are bounded when many come late: no more are kept, and the connection is closed", async () => {
      const { open, counters, resolver, clock } = await listen({ maxWriteBufferBytes: 200_000 });
      const client = await open();
      client.socket.pause();
      client.socket.write(frames(...numbered(100)));
      await until("all are asked", () => resolver.waiting.length === 100);
      const big = addressAnswer("big.test", clock.nowMs(), bigRecords);
      for (const [name] of numbered(100)) resolver.answer(name, big);
      await until("the connection is closed", () => counters.openConnections === 0);
      expect(counters.overflowedConnections).toBe(1);
    });

    test.skipIf(libc === undefined)("are few, in the process's memory and in the kernel's", async () => {
      const { open, counters } = await listen({ maxWriteBufferBytes: 1_000_000_000 }, await findFreePort());
      const client = await open();
      client.socket.pause();
      for (let more = 0; more < 10; more += 1) client.socket.write(flood);
      await delay(300);
      // 500 MB were asked for. 32 KB of this side's buffers are full, and as much of the client's as it chose; one more reply is kept.
      expect(counters.replySizes.sum).toBeLessThan(1_500_000);
      expect([counters.openConnections, counters.overflowedConnections]).toStrictEqual([1, 0]);
    });

    test("stop the reading of more queries until they are read, and nothing is lost", async () => {
      const { open, counters } = await listen({ maxWriteBufferBytes: 1_000_000_000 });
      const client = await open();
      client.socket.pause();
      let written = 0;
      const one = frames(["big.test", 1]);
      // Until they are no longer answered: then the kernel's buffers are full.
      const repliesNow = () => counters.replySizes.counts.reduce((sum, count) => sum + count, 0);
      await until("queries are left unread", async () => {
        for (let count = 0; count < 20; count += 1) client.socket.write(one);
        written += 20;
        await nextTurn();
        return written - repliesNow() > 100;
      });
      expect(counters.openConnections).toBe(1);
      client.socket.resume();
      expect(await client.read(written, 10_000)).toHaveLength(written);
      expect(repliesNow()).toBe(written);
    });
  });

  describe("a query that is longer than any real one", () => {
    test("ends the connection as soon as its length has arrived", async () => {
      const { open, counters } = await listen();
      const client = await open();
      client.socket.write(concat([frames(["hit.test", 1]), u16(4097), new Uint8Array(10)]));
      expect(await readIds(client, 1)).toStrictEqual([1]);
      await until("the connection has ended", () => counters.openConnections === 0);
      expect(counters.drops.malformed).toBe(1);
    });

    test("starts after 4096 octets: there is room for options and padding", async () => {
      const { open } = await listen();
      const client = await open();
      const { length } = buildQuery("hit.test", Type.A, {
        id: 7,
        opt: { options: [{ code: 12, data: new Uint8Array(0) }] },
      });
      const padding = new Uint8Array(4096 - length);
      const query = buildQuery("hit.test", Type.A, { id: 7, opt: { options: [{ code: 12, data: padding }] } });
      client.socket.write(concat([u16(query.length), query]));
      expect(query).toHaveLength(4096);
      expect(await readIds(client, 1)).toStrictEqual([7]);
    });
  });
});
