import { createSocket } from "node:dgram";
import { once } from "node:events";
import { describe, expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../../src/runtime/clock.ts";
import type { Attempt, Cancel } from "../../../src/flows/attempt.ts";
import type { FlowPoolLimits } from "../../../src/upstream/flow-pool.ts";
import { createEarlySends } from "../../../src/upstream/early-sends.ts";
import { createServerCounters, type ServerCounters } from "../../../src/upstream/server-counters.ts";
import { createServer } from "../../../src/upstream/server.ts";
import { systemSockets } from "../../../src/upstream/transport.ts";
import type { Transport } from "../../../src/wire/transport.ts";
import { composeQuery } from "../../../src/wire/question.ts";
import { flowLimits, startRawServer, questionFor } from "../flows/flow-parts.ts";

/** A small generator of repeatable numbers (xorshift), from 0 up to and without `below`. */
function createRandom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

/**
 * The query's own octets with QR set: its name says which question it answers, so that a reply to anybody else is seen. The
 * OPT record stays.
 */
function echo(query: Uint8Array): Uint8Array {
  const reply = query.slice();
  reply[2] = (reply[2] ?? 0) | 0x80;
  return reply;
}

function shuffle(items: unknown[], random: (below: number) => number): void {
  for (let last = items.length - 1; last > 0; last -= 1) {
    const other = random(last + 1);
    [items[last], items[other]] = [items[other], items[last]];
  }
}

/** Asks `count` different questions, `atOnce` at a time. Returns how many were answered, and how many with another's answer. */
async function askMany(
  send: (attempt: Attempt) => Cancel,
  count: number,
  atOnce: number,
): Promise<{ answered: number; crossed: number; lost: number }> {
  const tally = { answered: 0, crossed: 0, lost: 0 };
  await new Promise<void>((resolve) => {
    let next = 0;
    function ask(): void {
      if (next === count) {
        if (tally.answered + tally.lost === count) resolve();
        return;
      }
      const question = questionFor(`q${next++}.test`);
      let calls = 0;
      send({
        question,
        packet: composeQuery(question),
        onSent() {},
        onSilent() {},
        onReply(heard) {
          calls += 1;
          const packet = heard.kind === "whole" ? heard.reply.packet : new Uint8Array(512);
          const isOwn = Buffer.compare(packet.subarray(12, 12 + question.name.length), question.name) === 0;
          if (!isOwn || calls > 1) tally.crossed += 1;
          tally.answered += 1;
          ask();
        },
        onLost() {
          tally.lost += 1;
          // Where no flow may be opened for a while, the loss is told at once.
          setImmediate(ask);
        },
      });
    }
    for (let index = 0; index < atOnce; index += 1) ask();
  });
  return tally;
}

/** A path to a port of 127.0.0.1, closed when the test ends. */
function createPath(transport: Transport, port: number, limits: Partial<FlowPoolLimits>, counters: ServerCounters) {
  const path = { ...flowLimits, maxFlows: 3, maxAgeSeconds: 300, maxQueries: 10_000, maxWaitMs: 800, ...limits };
  const server = createServer({
    address: { host: "127.0.0.1", port },
    transport,
    sockets: systemSockets,
    probeQuestion: questionFor("probe.test"),
    limits: {
      paths: { udp: path, tcp: path },
      health: { failuresUntilDown: 3, probeIntervalMs: 500, maxBackoffMs: 5000 },
    },
    clock: systemClock,
    counters,
    earlySends: createEarlySends(systemClock),
    onHealthChange() {},
  });
  onTestFinished(() => server.close());
  return server.paths[transport];
}

describe("U7: no answer reaches a question that is not its own", () => {
  test("100,000 questions over TCP, answers reordered, repeated, and cut anywhere", async () => {
    const random = createRandom(0x5eed);
    const port = await startRawServer((socket) => {
      let pending: Buffer = Buffer.alloc(0);
      socket.on("data", (chunk: Buffer) => {
        pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
        const replies: Buffer[] = [];
        let at = 0;
        for (; pending.length - at >= 2;) {
          const sizeBytes = pending.readUInt16BE(at);
          if (pending.length - at < 2 + sizeBytes) break;
          const frame = Buffer.from(pending.subarray(at, at + 2 + sizeBytes));
          frame.set(echo(frame.subarray(2)), 2);
          replies.push(frame);
          // Now and then an answer twice, and one to a question that nobody asked.
          if (random(16) === 0) replies.push(frame);
          if (random(16) === 0) replies.push(withOtherId(frame));
          at += 2 + sizeBytes;
        }
        pending = pending.subarray(at);
        shuffle(replies, random);
        writeInPieces(Buffer.concat(replies));
      });

      function writeInPieces(octets: Buffer): void {
        for (let at = 0; at < octets.length;) {
          const sizeBytes = 1 + random(700);
          socket.write(octets.subarray(at, at + sizeBytes));
          at += sizeBytes;
        }
      }

      function withOtherId(frame: Buffer): Buffer {
        const other = Buffer.from(frame);
        other.writeUInt16BE(random(65_536), 2);
        return other;
      }
    });
    const counters = createServerCounters();
    // A machine that stands still for a second must not count as a connection that does not open.
    const limits = { maxDepth: 500, maxQueries: 20_000, connectTimeoutMs: 30_000, maxWrongReplies: Infinity };
    const { send } = createPath("tcp", port, limits, counters);
    expect(await askMany(send, 100_000, 1400)).toStrictEqual({ answered: 100_000, crossed: 0, lost: 0 });
    expect(counters.openedFlows.tcp).toBeGreaterThanOrEqual(4);
    expect(counters.openedFlows.tcp).toBeLessThanOrEqual(15);
    expect(counters.ignored["unknown-id"] + counters.ignored["wrong-question"]).toBeGreaterThan(5000);
  });

  test("10,000 questions over UDP, answers reordered and repeated", async () => {
    const random = createRandom(0xca5e);
    const server = createSocket("udp4");
    onTestFinished(() => void server.close());
    server.bind(0, "127.0.0.1");
    await once(server, "listening");
    const batch: { reply: Uint8Array; port: number }[] = [];
    server.on("message", (query, { port }) => {
      if (batch.length === 0) setImmediate(answerBatch);
      batch.push({ reply: echo(query), port });
      if (random(16) === 0) batch.push({ reply: echo(query), port });
    });
    function answerBatch(): void {
      const replies = batch.splice(0);
      shuffle(replies, random);
      for (const { reply, port } of replies) server.send(reply, port, "127.0.0.1");
    }

    const counters = createServerCounters();
    const limits = { maxFlows: 2, maxDepth: 1000, maxQueries: 1000, maxWrongReplies: 65_535 };
    const { send } = createPath("udp", server.address().port, limits, counters);
    expect(await askMany(send, 10_000, 50)).toStrictEqual({ answered: 10_000, crossed: 0, lost: 0 });
    expect(counters.openedFlows.udp).toBeGreaterThanOrEqual(8);
    expect(counters.openedFlows.udp).toBeLessThanOrEqual(16);
  });
});
