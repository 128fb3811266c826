import { setImmediate as nextTurn } from "node:timers/promises";
import type { Socket } from "node:net";
import { describe, expect, test } from "vitest";
import type { Flow } from "../../../src/flows/flow.ts";
import { concat, replyTo, u16 } from "../../support/messages/messages.ts";
import { countSends, countWrites } from "../../support/servers/count-writes.ts";
import { type ReceivedQuery, type Script, until } from "../../support/servers/scripted-upstream.ts";
import {
  answerAll,
  answerInReverse,
  answerNothing,
  closedPort,
  holdQueries,
  openTestFlow,
  startServer,
  track,
  waysToOpen,
} from "./flow-parts.ts";

/** Sends attempts for these names. */
function sendAll(flow: Flow, names: readonly string[]) {
  const tracked = names.map((name) => track(name));
  for (const { attempt } of tracked) flow.send(attempt);
  return tracked;
}

function outcomes(tracked: readonly ReturnType<typeof track>[]): string[] {
  return tracked.map((each) => each.outcome());
}

function frame(message: Uint8Array): Uint8Array {
  return concat([u16(message.length), message]);
}

/** Writes these octets on the connection of the query. */
function writeRaw({ connection }: ReceivedQuery, ...parts: readonly Uint8Array[]): void {
  connection?.write(concat(parts));
}

function connectionOf(query: ReceivedQuery): Socket {
  if (query.connection === undefined) throw new Error("not over TCP");
  return query.connection;
}

const names = Array.from({ length: 20 }, (_, index) => `q${index}.test`);

describe.each(waysToOpen("tcp"))("%s", (_way, openSocket) => {
  function openFlow(port: number, limits = {}) {
    return openTestFlow("tcp", port, limits, "127.0.0.1", openSocket);
  }

  describe("queries on one connection", () => {
    test("are pipelined, including those sent before it was connected", async () => {
      const held = holdQueries();
      const server = await startServer(held.script);
      const { flow, counters } = openFlow(server.port);
      sendAll(flow, names.slice(0, 10));
      expect(flow.isConnected()).toBe(false);
      await until("the flow is connected", () => flow.isConnected());
      sendAll(flow, names.slice(10));
      await until("all have arrived", () => held.waiting.length === 20);
      expect(server.received.map(({ name }) => name)).toStrictEqual(names);
      expect(server.connections.size).toBe(1);
      expect([flow.load(), flow.sentCount(), counters.sends.tcp]).toStrictEqual([20, 20, 20]);
    });

    test("leave in one write when they are asked in one turn", async () => {
      const server = await startServer(answerInReverse(20));
      const [writes, sends] = [countWrites(({ remotePort }) => remotePort === server.port), countSends()];
      const { flow } = openFlow(server.port);
      await until("the flow is connected", () => flow.isConnected());
      sendAll(flow, names);
      await until("all are answered", () => flow.load() === 0);
      expect(writes() + sends()).toBe(1);
    });

    test("are each answered with their own answer when the answers come in reverse", async () => {
      const server = await startServer(answerInReverse(20));
      const { flow } = openFlow(server.port);
      const tracked = sendAll(flow, names);
      await until("all are answered", () => flow.load() === 0);
      expect(tracked.map((each) => each.address())).toStrictEqual(names.map((_, index) => `10.0.0.${index}`));
    });
  });

  describe("answers are found however the stream is cut", () => {
    test("two frames in one segment", async () => {
      const queries: ReceivedQuery[] = [];
      const server = await startServer((query) => {
        queries.push(query);
        if (queries.length === 2) writeRaw(query, ...queries.map(({ bytes }) => frame(replyTo(bytes))));
        return undefined;
      });
      const { flow } = openFlow(server.port);
      const tracked = sendAll(flow, ["a.test", "b.test"]);
      await until("both are answered", () => flow.load() === 0);
      expect(outcomes(tracked)).toStrictEqual(["answered", "answered"]);
    });

    test("split in two at every octet", async () => {
      let cutAt = 1;
      const server = await startServer(async (query) => {
        const octets = frame(replyTo(query.bytes));
        writeRaw(query, octets.subarray(0, cutAt));
        await nextTurn();
        writeRaw(query, octets.subarray(cutAt));
        return undefined;
      });
      const { flow } = openFlow(server.port);
      const sizeBytes = frame(replyTo(track("a.test").attempt.packet)).length;
      for (; cutAt < sizeBytes; cutAt += 1) {
        const [tracked] = sendAll(flow, ["a.test"]);
        await until(`the answer cut at ${cutAt} has come`, () => flow.load() === 0);
        expect(tracked?.outcome()).toBe("answered");
      }
    });

    test("one octet at a time", async () => {
      const server = await startServer(async (query) => {
        for (const octet of frame(replyTo(query.bytes))) {
          writeRaw(query, Uint8Array.of(octet));
          await nextTurn();
        }
        return undefined;
      });
      const { flow } = openFlow(server.port);
      const [tracked] = sendAll(flow, ["a.test"]);
      await until("the answer has come", () => flow.load() === 0);
      expect(tracked?.outcome()).toBe("answered");
    });
  });

  describe("answers to no open question", () => {
    test("are counted and ignored, and the connection goes on", async () => {
      const server = await startServer(({ bytes }) => {
        const right = replyTo(bytes);
        const unknownId = right.slice();
        unknownId[0] = (unknownId[0] ?? 0) ^ 0xff;
        return [unknownId, replyTo(bytes, { questions: [{ name: "other.test", type: 1 }] }), right, right];
      });
      const { flow, counters } = openFlow(server.port);
      const [first] = sendAll(flow, ["a.test"]);
      await until("the duplicate has come", () => counters.ignored.late === 1);
      expect(first?.outcome()).toBe("answered");
      expect(counters.ignored).toStrictEqual({ malformed: 0, "unknown-id": 1, "wrong-question": 1, late: 1 });
      const [second] = sendAll(flow, ["b.test"]);
      await until("the next is answered", () => flow.load() === 0);
      expect(second?.outcome()).toBe("answered");
      expect(server.connections.size).toBe(1);
    });
  });

  describe("bad framing ends its own connection and no other", () => {
    test.each(Array.from({ length: 12 }, (_, sizeBytes) => sizeBytes))("a frame of %i octets", async (sizeBytes) => {
      const bad = await startServer((query) => {
        writeRaw(query, frame(new Uint8Array(sizeBytes)), frame(replyTo(query.bytes)));
        return undefined;
      });
      const good = holdQueries();
      const goodServer = await startServer(good.script);
      const { flow, ends } = openFlow(bad.port);
      const other = openFlow(goodServer.port);
      const lost = sendAll(flow, ["a.test", "b.test"]);
      const kept = sendAll(other.flow, ["a.test"]);
      await until("the connection has ended", () => ends.length === 1);
      expect(outcomes(lost)).toStrictEqual(["unusable", "unusable"]);
      expect(ends).toStrictEqual([{ reason: "unusable", answered: 0, unanswered: 2 }]);
      await until("the other's query has arrived", () => good.waiting.length === 1);
      good.answerAllWaiting();
      await until("the other is answered", () => other.flow.load() === 0);
      expect(outcomes(kept)).toStrictEqual(["answered"]);
      await until("the server sees it closed", () => bad.connections.size === 0);
    });

    const cutShort: [string, (query: ReceivedQuery) => void][] = [
      ["FIN behind the length", (query) => connectionOf(query).end(u16(40))],
      ["FIN behind one octet of the length", (query) => connectionOf(query).end(Uint8Array.of(0))],
      ["FIN inside the message", (query) => connectionOf(query).end(frame(replyTo(query.bytes)).subarray(0, 20))],
      ["FIN without anything", (query) => connectionOf(query).end()],
      ["RST without anything", (query) => connectionOf(query).resetAndDestroy()],
      [
        "RST inside the message",
        (query) => {
          connectionOf(query).write(frame(replyTo(query.bytes)).subarray(0, 20), () =>
            connectionOf(query).resetAndDestroy(),
          );
        },
      ],
    ];
    test.each(cutShort)("%s", async (_what, cut) => {
      const server = await startServer((query) => {
        cut(query);
        return undefined;
      });
      const { flow, ends, counters } = openFlow(server.port);
      const tracked = sendAll(flow, ["a.test"]);
      await until("the connection has ended", () => ends.length === 1);
      expect(outcomes(tracked)).toStrictEqual(["closed"]);
      expect(ends[0]).toStrictEqual({ reason: "closed", answered: 0, unanswered: 1 });
      expect(flow.isAccepting()).toBe(false);
      expect(counters.openFlows.tcp).toBe(0);
    });

    test("what was answered before the FIN stays answered", async () => {
      const server = await startServer((query) => {
        connectionOf(query).end(frame(replyTo(query.bytes)));
        return undefined;
      });
      const { flow, ends } = openFlow(server.port);
      const tracked = sendAll(flow, ["a.test", "b.test"]);
      await until("the connection has ended", () => ends.length === 1);
      expect(outcomes(tracked)).toStrictEqual(["answered", "closed"]);
      expect(ends[0]).toStrictEqual({ reason: "closed", answered: 1, unanswered: 1 });
    });
  });

  describe("opening", () => {
    test("a closed port is reported as refused", async () => {
      const { flow, ends } = openFlow(await closedPort());
      const tracked = sendAll(flow, ["a.test"]);
      await until("the connection has failed", () => ends.length === 1);
      expect(outcomes(tracked)).toStrictEqual(["refused"]);
    });

    test("takes no longer than the connect timeout", async () => {
      const server = await startServer(answerAll);
      const { flow, clock, ends } = openFlow(server.port, { connectTimeoutMs: 700 });
      const tracked = sendAll(flow, ["a.test"]);
      // The clock moves while the event loop does not: the handshake is not noticed in time.
      await clock.advance(699);
      expect(outcomes(tracked)).toStrictEqual(["waiting"]);
      await clock.advance(1);
      expect(outcomes(tracked)).toStrictEqual(["timeout"]);
      expect(ends).toStrictEqual([{ reason: "timeout", answered: 0, unanswered: 1 }]);
      expect(clock.pendingTimers()).toBe(0);
    });

    test("the connect timeout ends with the handshake", async () => {
      const server = await startServer(answerNothing);
      const { flow, clock } = openFlow(server.port);
      sendAll(flow, ["a.test"]);
      await until("the flow is connected", () => flow.isConnected());
      await clock.advance(60_000);
      expect(flow.isConnected()).toBe(true);
    });
  });

  describe("an idle connection", () => {
    async function answered(script: Script) {
      const server = await startServer(script);
      const opened = openFlow(server.port, { idleTimeoutMs: 8000 });
      sendAll(opened.flow, ["a.test"]);
      await until("it is answered", () => opened.flow.isConnected() && opened.flow.load() === 0);
      return { ...opened, server };
    }

    test("is closed after the idle timeout, counted from the last answer", async () => {
      const { flow, clock, ends } = await answered(answerAll);
      await clock.advance(7999);
      expect(flow.isAccepting()).toBe(true);
      await clock.advance(1);
      expect(ends).toStrictEqual([{ reason: "closed", answered: 1, unanswered: 0 }]);
      expect(clock.pendingTimers()).toBe(0);
    });

    test("is not idle while a query waits", async () => {
      const held = holdQueries();
      const server = await startServer(held.script);
      const { flow, clock } = openFlow(server.port);
      sendAll(flow, ["a.test"]);
      await until("it has arrived", () => held.waiting.length === 1);
      await clock.advance(20_000);
      expect(flow.isAccepting()).toBe(true);
      held.answerAllWaiting();
      await until("it is answered", () => flow.load() === 0);
      await clock.advance(7999);
      expect(flow.isAccepting()).toBe(true);
      await clock.advance(1);
      expect(flow.isAccepting()).toBe(false);
    });

    test("is also closed if it never carried a query", async () => {
      const server = await startServer(answerAll);
      const { flow, clock, ends } = openFlow(server.port);
      await until("the flow is connected", () => flow.isConnected());
      await clock.advance(8000);
      expect(ends).toHaveLength(1);
    });

    test("is also closed if its last query was cancelled", async () => {
      const server = await startServer(answerNothing);
      const { flow, clock, ends } = openFlow(server.port);
      const cancel = flow.send(track("a.test").attempt);
      await until("the flow is connected", () => flow.isConnected());
      cancel();
      await clock.advance(8000);
      expect(ends).toHaveLength(1);
    });
  });

  describe("a connection that retires", () => {
    test("takes no more, and closes when the last waiting query is answered", async () => {
      const held = holdQueries();
      const server = await startServer(held.script);
      const { flow, ends } = openFlow(server.port);
      const tracked = sendAll(flow, ["a.test", "b.test"]);
      await until("both have arrived", () => held.waiting.length === 2);
      flow.retire();
      expect(flow.isAccepting()).toBe(false);
      held.answer("b.test");
      await until("one is answered", () => flow.load() === 1);
      expect(ends).toHaveLength(0);
      held.answer("a.test");
      await until("the connection has ended", () => ends.length === 1);
      expect(outcomes(tracked)).toStrictEqual(["answered", "answered"]);
      await until("the server sees it closed", () => server.connections.size === 0);
    });

    test("closes at once when nothing waits", async () => {
      const server = await startServer(answerAll);
      const { flow, ends } = openFlow(server.port);
      await until("the flow is connected", () => flow.isConnected());
      flow.retire();
      expect(ends).toHaveLength(1);
    });

    test("still sends what it has if it is not connected yet", async () => {
      const server = await startServer(answerAll);
      const { flow, ends } = openFlow(server.port);
      const tracked = sendAll(flow, ["a.test"]);
      flow.retire();
      await until("the connection has ended", () => ends.length === 1);
      expect(outcomes(tracked)).toStrictEqual(["answered"]);
    });
  });

  describe("closing", () => {
    test("loses everything that waits, and leaves no timer behind", async () => {
      const server = await startServer(answerNothing);
      const { flow, clock, ends, counters } = openFlow(server.port);
      const tracked = sendAll(flow, ["a.test", "b.test"]);
      flow.close("stopped");
      flow.close("timeout");
      expect(outcomes(tracked)).toStrictEqual(["stopped", "stopped"]);
      expect(ends).toHaveLength(1);
      expect(counters.openFlows.tcp).toBe(0);
      expect(clock.pendingTimers()).toBe(0);
    });
  });
});
