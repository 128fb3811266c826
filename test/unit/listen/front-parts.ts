/*
 * What the tests of listen/ share: a front whose resolver does what the test says.
 */
import { createResolverCounters } from "../../../src/resolve/resolver.ts";
import { createEntry } from "../../../src/cache/entry.ts";
import { createAccessList } from "../../../src/listen/access-list.ts";
import type { Front } from "../../../src/listen/front.ts";
import { canListenInBatches } from "../../../src/listen/batch-listener.ts";
import type { BatchChoice } from "../../../src/listen/udp-listener.ts";
import { createHealthQuestion } from "../../../src/listen/health-question.ts";
import { createMissQueue } from "../../../src/resolve/miss-queue.ts";
import type { ListenOptions } from "../../../src/listen/open-listeners.ts";
import type { TcpListenLimits } from "../../../src/listen/tcp-listener.ts";
import type { Answer } from "../../../src/resolve/answer.ts";
import type { Resolver } from "../../../src/resolve/resolver.ts";
import { ExtendedError } from "../../../src/wire/codes.ts";
import { nameToText } from "../../../src/wire/name-text.ts";
import { ownQuestion, type Question, questionOf } from "../../../src/wire/question.ts";
import { parseReply } from "../../../src/wire/reply.ts";
import { createFakeClock, type FakeClock } from "../../support/program/fake-clock.ts";
import { a, buildMessage, Flags, nameBytes, type TestRecord, Type } from "../../support/messages/messages.ts";

/** A resolver whose cache holds what the test puts there, and which leaves everything else to the test. */
export interface FakeResolver extends Resolver {
  /** By the name in lower case, as a cache entry. */
  readonly cached: Map<string, Answer & { kind: "message" }>;
  /** Refused with the rcode, by type. */
  readonly refused: Map<number, number>;
  /** Questions that wait for `answer`, in order: names in lower case. */
  readonly waiting: string[];
  /** The most that ever waited at once. */
  mostWaiting(): number;
  /** The clients of the questions that wait or have waited. */
  readonly clients: string[];
  /** The questions that came to `resolve`. */
  readonly questions: Question[];
  /** Answers everybody who waits for this name. */
  answer(name: string, answer?: Answer): void;
  /** From now on answers at once. */
  answerAtOnce(): void;
}

/** Creates one. Without `answer` or `answerAtOnce` a question that is not cached waits forever. */
export function createFakeResolver(clock: FakeClock): FakeResolver {
  const cached = new Map<string, Answer & { kind: "message" }>();
  const refused = new Map<number, number>();
  const waiting: string[] = [];
  const clients: string[] = [];
  const questions: Question[] = [];
  const resolvers: { name: string; resolve(answer: Answer): void }[] = [];
  let mostWaiting = 0;
  let isAtOnce = false;
  return {
    cached,
    refused,
    waiting,
    clients,
    questions,
    mostWaiting: () => mostWaiting,
    takesLoopProbe: () => false,
    refuse: ({ type }) => refused.get(type),
    lookup({ name }) {
      return cached.get(nameToText(name.octets.subarray(0, name.sizeBytes)))?.entry;
    },
    deny: () => undefined,
    resolve(query, client, tell) {
      const question = questionOf(query);
      const name = nameToText(question.name);
      clients.push(client);
      questions.push(question);
      if (isAtOnce) return addressAnswer(name, clock.nowMs());
      waiting.push(name);
      mostWaiting = Math.max(mostWaiting, waiting.length);
      resolvers.push({ name, resolve: tell });
      return "later";
    },
    answer(name, answer = addressAnswer(name, clock.nowMs())) {
      const own = resolvers.filter((each) => each.name === name);
      if (own.length === 0) throw new Error(`nobody waits for ${name}`);
      for (const each of own) {
        resolvers.splice(resolvers.indexOf(each), 1);
        waiting.splice(waiting.indexOf(name), 1);
        each.resolve(answer);
      }
    },
    answerAtOnce() {
      isAtOnce = true;
    },
    counters: createResolverCounters(),
  };
}

/** An answer of 10.0.0.1, or of these records, stored at `storedAtMs`. */
export function addressAnswer(
  name: string,
  storedAtMs: number,
  answers: TestRecord[] = [a(name, "10.0.0.1", 30)],
): Answer & { kind: "message" } {
  const question = ownQuestion(nameBytes(name), Type.A);
  const packet = buildMessage({
    flags: Flags.QR | Flags.RD | Flags.RA,
    questions: [{ name, type: Type.A }],
    answers,
  });
  const reply = parseReply(packet);
  if (typeof reply === "number") throw new Error(`the test's own message is malformed: ${reply}`);
  const entry = createEntry(question, reply, { kind: "answer", ttlSeconds: 30 }, 3600, false, storedAtMs);
  return { kind: "message", entry, fixedTtlSeconds: 0, extendedError: ExtendedError.none, source: "upstream" };
}

/** A front for clients on this machine, its resolver and its clock. */
export function createFront(): { front: Front; resolver: FakeResolver; clock: FakeClock } {
  const clock = createFakeClock();
  const resolver = createFakeResolver(clock);
  const front: Front = {
    accessList: createAccessList([
      { address: "127.0.0.0", prefixLength: 8 },
      { address: "::1", prefixLength: 128 },
    ]),
    maxUdpReplySizeBytes: 1232,
    queryLog: undefined,
    onlooker: undefined,
    misses: createMissQueue(clock),
    resolver,
    health: createHealthQuestion(nameBytes("cluster.local"), "5e1f"),
    clock,
    hashSeed: 0x5eed,
  };
  return { front, resolver, clock };
}

/** The ways of taking connections that work here (setting: listen.batch). */
export const tcpWays: readonly BatchChoice[] = canListenInBatches() ? ["auto", "off"] : ["off"];

/** Limits wide enough for every test that is not about them. */
export const tcpListenLimits: TcpListenLimits = {
  maxConnections: 100,
  maxConnectionsPerClient: 100,
  idleTimeoutMs: 10_000,
  maxPipelined: 100,
  maxWriteBufferBytes: 1_000_000,
};

/** The same, for all sockets. */
export const listenOptions: ListenOptions = { tcp: tcpListenLimits, batch: "auto" };
