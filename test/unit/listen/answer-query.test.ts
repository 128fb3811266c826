import { describe, expect, test, vi } from "vitest";
import { createQueryAnswerer, noReply, replyLater } from "../../../src/listen/answer-query.ts";
import type { QueryLog } from "../../../src/listen/front.ts";
import {
  countedRcodes,
  createListenCounters,
  type DropReason,
  replySourceNames,
} from "../../../src/listen/listen-counters.ts";
import { hostKey, socketAddress } from "../../../src/runtime/socket-address.ts";
import type { Answer } from "../../../src/resolve/answer.ts";
import { ExtendedError, Rcode } from "../../../src/wire/codes.ts";
import { faultNames } from "../../../src/wire/fault.ts";
import { maxMessageSizeBytes } from "../../../src/wire/header.ts";
import { nameToText } from "../../../src/wire/name-text.ts";
import { loadMalformed } from "../../support/messages/malformed-packets.ts";
import {
  a,
  buildQuery,
  Flags,
  readMessage,
  type ReadMessage,
  type TestMessage,
  Type,
} from "../../support/messages/messages.ts";
import type { Onlooker } from "../../../src/listen/onlooker.ts";
import { addressAnswer, createFront } from "./front-parts.ts";

const client = socketAddress({ host: "127.0.0.1", port: 40_000 });
const stranger = socketAddress({ host: "203.0.113.1", port: 40_000 });
const bigAnswers = Array.from({ length: 100 }, (_, index) => a("big.test", `10.0.1.${index}`));

/** An answerer with its front, and how to ask it. */
function setUp(protocol: "udp" | "tcp" = "udp") {
  const parts = createFront();
  const counters = createListenCounters({ host: "127.0.0.1", port: 53 }, protocol);
  const answerer = createQueryAnswerer(parts.front, counters);
  const target = new Uint8Array(maxMessageSizeBytes);
  return { ...parts, counters, answerer, askNow, askLater, replies };

  /** What answerNow wrote, or its code. */
  function askNow(packet: Uint8Array, from = client): ReadMessage | number {
    const size = answerer.answerNow(packet, packet.length, from, target, parts.clock.nowMs());
    answerer.endBatch(parts.clock.nowMs());
    return size > 0 ? readMessage(target.slice(0, size)) : size;
  }

  /** The reply to a query that needs the resolver: undefined when there is none. */
  async function askLater(packet: Uint8Array, answer: (name: string) => void): Promise<ReadMessage | undefined> {
    expect(askNow(packet)).toBe(replyLater);
    const reply = new Promise<Uint8Array>((resolve) => {
      answerer.answerLater(client, (message, size) => resolve(message.slice(0, size)));
    });
    answerer.endBatch(parts.clock.nowMs());
    // The receive buffer belongs to the next query by now.
    packet.fill(0xff);
    answer(parts.resolver.waiting[0] ?? "");
    const bytes = await reply;
    return bytes.length === 0 ? undefined : readMessage(bytes);
  }

  /** Replies counted, as "RCODE source". */
  function replies(): Record<string, number> {
    const counted: Record<string, number> = {};
    for (let rcode = 0; rcode < countedRcodes; rcode += 1) {
      for (const [source, name] of replySourceNames.entries()) {
        const count = counters.replies[rcode * replySourceNames.length + source] ?? 0;
        if (count > 0) counted[`${rcode} ${name}`] = count;
      }
    }
    return counted;
  }
}

function query(name: string, more: TestMessage = {}): Uint8Array {
  return buildQuery(name, Type.A, { id: 0x4711, ...more });
}

function message(reply: ReadMessage | number | undefined): ReadMessage {
  if (reply === undefined || typeof reply === "number") throw new Error(`no message but ${reply}`);
  return reply;
}

describe("a client that may not ask", () => {
  test("gets no reply, whatever it sends, and is counted", () => {
    const { askNow, counters, resolver } = setUp();
    resolver.cached.set("a.test", addressAnswer("a.test", 1_000_000));
    expect(askNow(query("a.test"), stranger)).toBe(noReply);
    expect(askNow(new Uint8Array(3), stranger)).toBe(noReply);
    expect(counters.drops.denied).toBe(2);
    expect(counters.drops.malformed).toBe(0);
    expect(counters.faults.every((count) => count === 0)).toBe(true);
  });

  test("is judged again after the list has been replaced", () => {
    const { askNow, front, resolver } = setUp();
    resolver.cached.set("a.test", addressAnswer("a.test", 1_000_000));
    front.accessList = (address) => address === stranger;
    expect(askNow(query("a.test"))).toBe(noReply);
    expect(message(askNow(query("a.test"), stranger)).rcode).toBe(Rcode.NOERROR);
  });
});

describe("a malformed packet", () => {
  const packets = loadMalformed("malformed");

  test.each(packets)("$name: is counted", ({ packet, fault }) => {
    const { askNow, counters } = setUp();
    askNow(packet);
    expect(counters.faults[faultNames.indexOf(fault)]).toBe(1);
  });

  test.each(packets.filter(({ expect: wanted }) => wanted === "silence"))("$name: silence", ({ packet }) => {
    const { askNow, counters } = setUp();
    expect(askNow(packet)).toBe(noReply);
    expect(counters.drops.malformed).toBe(1);
  });

  test.each(packets.filter(({ expect: wanted }) => wanted !== "silence"))("$name: $expect", (malformed) => {
    const { packet, expect: wanted } = malformed;
    const { askNow, replies } = setUp();
    const reply = askNow(packet);
    const { rcode, id, flags } = message(reply);
    expect(rcode).toBe(Rcode[wanted as "FORMERR" | "NOTIMP"]);
    expect(id).toBe(((packet[0] ?? 0) << 8) | (packet[1] ?? 0));
    expect(flags & Flags.QR).toBe(Flags.QR);
    expect(replies()).toStrictEqual({ [`${rcode} error`]: 1 });
  });
});

describe("queries that are never looked up", () => {
  test("a later EDNS version gets BADVERS, before anything else", () => {
    const { askNow, replies } = setUp();
    const reply = message(askNow(query("a.test", { opt: { version: 1 } })));
    expect([reply.rcode, reply.opts[0]?.version]).toStrictEqual([Rcode.BADVERS, 0]);
    expect(replies()).toStrictEqual({ "16 error": 1 });
  });

  test("what the resolver refuses gets the rcode that it names", () => {
    const { askNow, resolver, replies } = setUp();
    resolver.refused.set(Type.AXFR, Rcode.NOTIMP);
    const reply = message(askNow(buildQuery("a.test", Type.AXFR)));
    expect([reply.rcode, reply.questions[0]?.type]).toStrictEqual([Rcode.NOTIMP, Type.AXFR]);
    expect(replies()).toStrictEqual({ "4 error": 1 });
  });
});

describe("a hit", () => {
  test("is answered at once, with the client's ID and spelling and the age taken off the TTLs", async () => {
    const { askNow, resolver, clock, replies, counters } = setUp();
    resolver.cached.set("a.test", addressAnswer("a.test", clock.nowMs()));
    await clock.advance(7900);
    const reply = message(askNow(query("A.tEsT")));
    expect(reply.id).toBe(0x4711);
    expect(reply.questions[0]?.name).toBe("A.tEsT");
    expect(reply.answers.map(({ ttl, data }) => [ttl, data.join(".")])).toStrictEqual([[23, "10.0.0.1"]]);
    expect(replies()).toStrictEqual({ "0 cache": 1 });
    expect(counters.requestsByType[0]).toBe(1);
  });

  test.each([
    ["without EDNS", undefined, 512],
    ["that offers 700", { udpSize: 700 }, 700],
    ["that offers less than 512", { udpSize: 100 }, 512],
    ["that offers more than nodens sends", { udpSize: 4096 }, 1232],
  ])("over UDP fits into the size of a client %s", (_what, opt, limit) => {
    const { askNow, resolver, counters, front } = setUp();
    resolver.cached.set("big.test", addressAnswer("big.test", 1_000_000, bigAnswers));
    const target = new Uint8Array(maxMessageSizeBytes);
    const packet = query("big.test", { opt });
    const other = createQueryAnswerer(front, counters);
    const size = other.answerNow(packet, packet.length, client, target, 1_000_000);
    other.endBatch(1_000_000);
    expect(size).toBeLessThanOrEqual(limit);
    // An address record takes at least 16 octets.
    expect(size).toBeGreaterThan(limit - 40);
    expect(message(askNow(packet)).flags & Flags.TC).toBe(Flags.TC);
    expect(counters.truncated).toBe(2);
  });

  test("over UDP follows a changed limit", () => {
    const { askNow, resolver, front } = setUp();
    resolver.cached.set("big.test", addressAnswer("big.test", 1_000_000, bigAnswers));
    front.maxUdpReplySizeBytes = 4096;
    const reply = message(askNow(query("big.test", { opt: { udpSize: 4096 } })));
    expect([reply.flags & Flags.TC, reply.answers.length]).toStrictEqual([0, 100]);
  });

  test("over TCP is whole", () => {
    const { askNow, resolver } = setUp("tcp");
    resolver.cached.set("big.test", addressAnswer("big.test", 1_000_000, bigAnswers));
    const reply = message(askNow(query("big.test")));
    expect([reply.flags & Flags.TC, reply.answers.length]).toStrictEqual([0, 100]);
  });
});

describe("a query that lay too long in the socket", () => {
  test("is counted, and shown to the onlooker as one without a reply", () => {
    const { answerer, counters, front } = setUp();
    const shown: unknown[] = [];
    const onlooker: Onlooker = {
      received: (_client, { id }, isTcp, nowMs) => shown.push({ id, isTcp, nowMs }),
      answeredAtOnce: () => shown.push("answered"),
      answered: () => shown.push("answered"),
      dropped: (number) => shown.push(`dropped ${number}`),
    };
    Object.assign(front, { onlooker });
    const packet = query("a.test");
    answerer.dropLate(packet, packet.length, client, 1000.5);
    answerer.dropLate(new Uint8Array(3), 3, client, 1000);
    answerer.dropLate(packet, packet.length, stranger, 1000);
    expect(counters.drops.late).toBe(3);
    expect(shown).toEqual([{ id: readMessage(packet).id, isTcp: false, nowMs: 1000 }, "dropped 1"]);
  });

  test("does not change what is noted of the reply before it in the same batch", () => {
    const { answerer, counters, front, resolver, clock } = setUp();
    const answered: string[] = [];
    const onlooker: Onlooker = {
      received: () => 7,
      answeredAtOnce: (_client, { name }) => answered.push(nameToText(name.octets.slice(0, name.sizeBytes))),
      answered() {},
      dropped() {},
    };
    Object.assign(front, { onlooker });
    const now = clock.nowMs();
    resolver.cached.set("a.test", addressAnswer("a.test", now));
    const [hit, late] = [query("a.test"), buildQuery("late.test", Type.TXT)];
    answerer.answerNow(hit, hit.length, client, new Uint8Array(maxMessageSizeBytes), now);
    answerer.dropLate(late, late.length, client, now - 2000);
    answerer.endBatch(now);
    expect(answered).toStrictEqual(["a.test"]);
    expect(counters.requestsByType[0]).toBe(1);
  });
});

describe("a miss", () => {
  test("is answered from a copy of the query when the resolver has an answer", async () => {
    const { askLater, resolver, replies } = setUp();
    const reply = message(
      await askLater(query("A.test", { opt: { dnssecOk: true } }), (name) => resolver.answer(name)),
    );
    expect([reply.id, reply.questions[0]?.name, reply.answers.length]).toStrictEqual([0x4711, "A.test", 1]);
    expect(reply.opts[0]?.dnssecOk).toBe(true);
    expect(resolver.clients).toStrictEqual([hostKey(client)]);
    expect(resolver.questions.map(({ dnssecOk, type }) => [dnssecOk, type])).toStrictEqual([[true, Type.A]]);
    expect(replies()).toStrictEqual({ "0 upstream": 1 });
  });

  test("gets an answer whose age is taken when it is shaped", async () => {
    const { askNow, answerer, resolver, clock, counters } = setUp();
    expect(askNow(query("a.test"))).toBe(replyLater);
    const reply = new Promise<ReadMessage>((resolve) => {
      answerer.answerLater(client, (bytes, size) => resolve(readMessage(bytes.slice(0, size))));
    });
    const answer = addressAnswer("a.test", clock.nowMs());
    await clock.advance(1500);
    resolver.answer("a.test", answer);
    expect((await reply).answers[0]?.ttl).toBe(29);
    expect(counters.durations[1]?.sum).toBeCloseTo(1.5);
  });

  test.each([
    [5000, 1, 0],
    [5001, 0, 1],
  ])("over UDP is answered only while its client waits: after %d ms %d times", async (waitedMs, replyCount, late) => {
    const { askNow, answerer, resolver, clock, counters } = setUp();
    expect(askNow(query("a.test"))).toBe(replyLater);
    const size = new Promise<number>((resolve) => answerer.answerLater(client, (_message, bytes) => resolve(bytes)));
    await clock.advance(waitedMs);
    resolver.answer("a.test");
    expect([Math.sign(await size), counters.drops.late]).toStrictEqual([replyCount, late]);
  });

  test("gets its own answer among several, in whatever order those come", async () => {
    const { askNow, answerer, resolver, clock } = setUp();
    const replies: Promise<ReadMessage>[] = [];
    for (const [index, name] of ["a.test", "b.test", "c.test"].entries()) {
      expect(askNow(query(name, { id: index }))).toBe(replyLater);
      replies.push(
        new Promise((resolve) => {
          answerer.answerLater(client, (bytes, size) => resolve(readMessage(bytes.slice(0, size))));
        }),
      );
    }
    answerer.endBatch(clock.nowMs());
    for (const name of ["c.test", "a.test", "b.test"]) resolver.answer(name);
    const read = await Promise.all(replies);
    expect(read.map(({ id, answers }) => `${id} ${answers[0]?.name}`)).toStrictEqual([
      "0 a.test",
      "1 b.test",
      "2 c.test",
    ]);
  });

  test("may get a stale answer, with the TTL for that and a reason", async () => {
    const { askLater, resolver, replies } = setUp();
    const stale: Answer = {
      ...addressAnswer("a.test", 1000),
      fixedTtlSeconds: 30,
      extendedError: ExtendedError.staleAnswer,
      source: "stale",
    };
    const reply = message(await askLater(query("a.test", { opt: {} }), (name) => resolver.answer(name, stale)));
    expect(reply.answers[0]?.ttl).toBe(30);
    expect(reply.opts[0]?.options.map(({ code, data }) => [code, [...data.subarray(0, 2)]])).toStrictEqual([
      [15, [0, ExtendedError.staleAnswer]],
    ]);
    expect(replies()).toStrictEqual({ "0 stale": 1 });
  });

  test("may get an error, with a reason for clients that understand it", async () => {
    const { askLater, resolver, replies } = setUp();
    const failed: Answer = { kind: "error", rcode: Rcode.SERVFAIL, extendedError: ExtendedError.noReachableAuthority };
    const told = message(await askLater(query("a.test", { opt: {} }), (name) => resolver.answer(name, failed)));
    expect([told.rcode, told.opts[0]?.options[0]?.code]).toStrictEqual([Rcode.SERVFAIL, 15]);
    const plain = message(await askLater(query("a.test"), (name) => resolver.answer(name, failed)));
    expect([plain.rcode, plain.opts.length]).toStrictEqual([Rcode.SERVFAIL, 0]);
    expect(replies()).toStrictEqual({ "2 error": 2 });
  });

  const reasons: (DropReason & ("inflight" | "waiters" | "client"))[] = ["inflight", "waiters", "client"];
  test.each(reasons)("that is dropped (%s) gets no reply, and is counted", async (reason) => {
    const { askLater, resolver, counters, replies } = setUp();
    const dropped: Answer = { kind: "dropped", reason };
    expect(await askLater(query("a.test"), (name) => resolver.answer(name, dropped))).toBeUndefined();
    expect(counters.drops[reason]).toBe(1);
    expect(replies()).toStrictEqual({});
  });
});

describe("counters and the log", () => {
  test("count for each query of a batch how long it lay in the socket before", async () => {
    const { answerer, resolver, counters, clock } = setUp();
    const now = clock.nowMs();
    resolver.cached.set("a.test", addressAnswer("a.test", now));
    const [packet, target] = [query("a.test"), new Uint8Array(maxMessageSizeBytes)];
    for (const waitedMs of [1500, 400, 400, 0])
      answerer.answerNow(packet, packet.length, client, target, now, waitedMs);
    answerer.endBatch(now);
    expect(counters.durations[0]?.sum).toBeCloseTo(2.3);
  });

  test("count a reply when its batch has left, or another query comes, and not before", () => {
    const { answerer, resolver, clock, replies, counters } = setUp();
    const now = clock.nowMs();
    resolver.cached.set("a.test", addressAnswer("a.test", now));
    const [packet, target] = [query("a.test"), new Uint8Array(maxMessageSizeBytes)];
    const counted = () => [counters.requestsByType[0], replies()];
    const ask = () => answerer.answerNow(packet, packet.length, client, target, now);
    expect(ask()).toBeGreaterThan(0);
    expect(counted()).toStrictEqual([0, {}]);
    expect(ask()).toBeGreaterThan(0);
    expect(counted()).toStrictEqual([1, { "0 cache": 1 }]);
    answerer.endBatch(now);
    expect(counted()).toStrictEqual([2, { "0 cache": 2 }]);
    answerer.endBatch(now);
    expect(counted()).toStrictEqual([2, { "0 cache": 2 }]);
  });

  test("count every query by type, size and DO, and every reply by size and source", async () => {
    const { askNow, askLater, resolver, counters } = setUp();
    resolver.cached.set("a.test", addressAnswer("a.test", 1_000_000));
    askNow(query("a.test", { opt: { dnssecOk: true } }));
    askNow(buildQuery("a.test", Type.PRIVATE));
    await askLater(query("b.test"), (name) => resolver.answer(name));
    expect(counters.requestsByType[0]).toBe(2);
    expect(counters.requestsByType.at(-1)).toBe(1);
    expect(counters.dnssecOk).toBe(1);
    const count = (counts: Float64Array) => counts.reduce((sum, each) => sum + each, 0);
    expect(count(counters.requestSizes.counts)).toBe(3);
    expect(count(counters.replySizes.counts)).toBe(3);
    expect(counters.durations.map(({ counts }) => count(counts))).toStrictEqual([2, 1, 0, 0, 0]);
  });

  test("list every reply in the query log, and no query that got none", async () => {
    const { askNow, askLater, front, resolver, clock } = setUp();
    const lines: string[] = [];
    const queryLog = vi.fn<QueryLog>((from, protocol, asked, rcode, source, durationMs, sizeBytes) => {
      lines.push(`${from} ${protocol} ${asked.type} ${rcode} ${source} ${durationMs} ${sizeBytes > 12}`);
    });
    front.queryLog = queryLog;
    resolver.cached.set("a.test", addressAnswer("a.test", clock.nowMs()));
    askNow(query("a.test"));
    askNow(query("a.test"), stranger);
    askNow(new Uint8Array(5));
    await askLater(query("b.test"), (name) => resolver.answer(name));
    await askLater(query("c.test"), (name) => resolver.answer(name, { kind: "dropped", reason: "waiters" }));
    expect(lines).toStrictEqual(["127.0.0.1 udp 1 0 0 0 true", "127.0.0.1 udp 1 0 1 0 true"]);
  });
});
