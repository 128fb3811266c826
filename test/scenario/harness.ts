/*
 * The whole chain in memory: clients' packets go in, replies come out; time and the upstream do what a test says.
 *
 *      asks() ──▶ answer-query ──▶ resolver ──▶ cache, failures, in flight ──▶ upstream: answers(), fails()
 */
import { createAnswerCache } from "../../src/cache/answer-cache.ts";
import { createFailureMemory } from "../../src/cache/failure-memory.ts";
import { createAccessList } from "../../src/listen/access-list.ts";
import { createQueryAnswerer, type Front, noReply, replyLater } from "../../src/listen/answer-query.ts";
import { createListenCounters } from "../../src/listen/listen-counters.ts";
import { createLoopGuard } from "../../src/resolve/loop-guard.ts";
import { createResolver } from "../../src/resolve/resolver.ts";
import { createSharedQuestions } from "../../src/resolve/share-in-flight.ts";
import { createSearchScope } from "../../src/search/search-scope.ts";
import type { ExchangeResult } from "../../src/upstream/exchange.ts";
import { composeQuery } from "../../src/wire/question.ts";
import { parseReply } from "../../src/wire/reply.ts";
import { withoutSearchRules } from "../unit/resolve/without-search-rules.ts";
import { createFakeClock } from "../support/program/fake-clock.ts";
import {
  buildQuery,
  Flags,
  nameBytes,
  type ReadMessage,
  readMessage,
  replyTo,
  type TestMessage,
  type TestOpt,
  Type,
} from "../support/messages/messages.ts";

/** The mnemonic of a type, as tests write it. */
export type TypeName = keyof typeof Type;

/** How a client asks. Left out: 10.0.0.1 over UDP, ID 1234, RD, no EDNS, class IN. */
export interface AskDetails {
  readonly client?: string;
  readonly over?: "udp" | "tcp";
  readonly id?: number;
  readonly flags?: number;
  readonly opt?: TestOpt;
  readonly class?: number;
}

/** A query of a client, and what became of it. */
export interface Asked {
  /** What the client sent. */
  readonly query: Uint8Array;
  /** Whether it waits for upstream. */
  isWaiting(): boolean;
  /** Whether nodens let it go without a reply. */
  isDropped(): boolean;
  /** The reply. Throws when there is none. */
  reply(): ReadMessage;
  /** Its octets. Throws when there is none. */
  octets(): Uint8Array;
}

/** A question as it arrived upstream. */
interface UpstreamQuery extends ReadMessage {
  readonly name: string;
  readonly type: number;
}

/** What a test may set; the rest is as nodens has it by default. */
export interface WorldSettings {
  readonly answersSizeBytes?: number;
  readonly denialsSizeBytes?: number;
  readonly maxTtlSeconds?: number;
  readonly maxClusterDenialTtlSeconds?: number;
  readonly staleSeconds?: number;
  readonly prefetches?: boolean;
  readonly maxInFlight?: number;
  readonly maxWaiters?: number;
  readonly maxWaitersPerQuestion?: number;
  readonly maxWaitersPerClient?: number;
}

/** The reply of an upstream: sections, flags beside QR, RD and RA, rcode. `lacksRa` takes RA away. */
export type UpstreamReply = TestMessage & { readonly rcode?: number; readonly lacksRa?: boolean };

/** A nodens without sockets. The cluster zone is cluster.local. */
export type World = ReturnType<typeof createWorld>;

/** NXDOMAIN as the rcode. */
export const nxdomain = 3;

/** Creates a world in which nothing was asked yet. */
export function createWorld(settings: WorldSettings = {}) {
  const clock = createFakeClock();
  const cache = createAnswerCache({
    answersSizeBytes: settings.answersSizeBytes ?? 1_000_000,
    denialsSizeBytes: settings.denialsSizeBytes ?? 1_000_000,
    staleSeconds: settings.staleSeconds ?? 3600,
  });
  const failures = createFailureMemory({ firstTtlSeconds: 1, maxTtlSeconds: 5 });
  const loopGuard = createLoopGuard("5ec2e7");
  const received: UpstreamQuery[] = [];
  const open: { question: UpstreamQuery; packet: Uint8Array; settle: (result: ExchangeResult) => void }[] = [];

  const resolver = createResolver({
    cache,
    failures,
    loopGuard,
    clock,
    shared: createSharedQuestions({
      maxInFlight: settings.maxInFlight ?? 4096,
      maxWaiters: settings.maxWaiters ?? 16_384,
      maxWaitersPerQuestion: settings.maxWaitersPerQuestion ?? 1000,
      maxWaitersPerClient: settings.maxWaitersPerClient ?? 1024,
    }),
    scope: createSearchScope([nameBytes("cluster.local")]),
    limits: {
      maxTtlSeconds: settings.maxTtlSeconds ?? 86_400,
      maxDenialTtlSeconds: 1800,
      maxClusterDenialTtlSeconds: settings.maxClusterDenialTtlSeconds ?? 5,
      staleAfterMs: 1800,
      prefetches: settings.prefetches ?? true,
      sharesDenials: true,
      answersOutsideNames: false,
    },
    ...withoutSearchRules(cache),
    ask(question) {
      const packet = composeQuery(question);
      const message = readMessage(packet);
      const [{ name, type } = { name: "", type: 0 }] = message.questions;
      const query = { ...message, name, type };
      received.push(query);
      return new Promise((settle) => open.push({ question: query, packet, settle }));
    },
  });
  const front: Front = {
    accessList: createAccessList([{ address: "10.0.0.0", prefixLength: 8 }]),
    maxUdpReplySizeBytes: 1232,
    queryLog: undefined,
    resolver,
    clock,
    hashSeed: 0x1234_5678,
  };
  const address = { host: "127.0.0.1", port: 53 };
  const answerers = {
    udp: createQueryAnswerer(front, createListenCounters(address, "udp")),
    tcp: createQueryAnswerer(front, createListenCounters(address, "tcp")),
  };

  /** A client sends these octets. */
  async function sends(query: Uint8Array, { client = "10.0.0.1", over = "udp" }: AskDetails = {}): Promise<Asked> {
    const answerer = answerers[over];
    const target = new Uint8Array(65_535);
    let octets: Uint8Array | undefined;
    const keep = (message: Uint8Array, sizeBytes: number) => (octets = message.slice(0, sizeBytes));
    const size = answerer.answerNow(query, query.length, client, target);
    if (size === replyLater) answerer.answerLater(client, keep);
    else keep(target, size);
    await passes(0);
    function octetsOf(): Uint8Array {
      if (octets === undefined) throw new Error("the client still waits");
      if (octets.length === noReply) throw new Error("the client got no reply");
      return octets;
    }
    return {
      query,
      isWaiting: () => octets === undefined,
      isDropped: () => octets?.length === noReply,
      octets: octetsOf,
      reply: () => readMessage(octetsOf()),
    };
  }

  /** A client asks for a name. */
  function asks(name: string, type: TypeName, details: AskDetails = {}): Promise<Asked> {
    const { id = 0x1234, flags = Flags.RD, opt, class: rrClass = 1 } = details;
    const questions = [{ name, type: Type[type], class: rrClass }];
    return sends(buildQuery(name, Type[type], { id, flags, opt, questions }), details);
  }

  /** The upstream answers the oldest open question, or the oldest for `about`. */
  async function answers(reply: UpstreamReply, about?: { name?: string; type?: TypeName }): Promise<void> {
    const { packet, settle } = takeOpen(about);
    const octets = replyTo(packet, { opt: {}, ...reply });
    if (reply.lacksRa === true) octets[3] = (octets[3] ?? 0) & 0x7f;
    const parsed = parseReply(octets);
    if (typeof parsed === "number") throw new Error(`the reply has fault ${parsed}`);
    settle({ reply: parsed });
    await passes(0);
  }

  /** Everything that was tried for the oldest open question was in vain. */
  async function fails(failure: "timeout" | "refused" | "closed" = "timeout"): Promise<void> {
    takeOpen().settle({ failure });
    await passes(0);
  }

  function takeOpen(about: { name?: string; type?: TypeName } = {}) {
    const index = open.findIndex(({ question: { name, type } }) => {
      return (about.name ?? name) === name && (about.type === undefined || Type[about.type] === type);
    });
    const [taken] = index < 0 ? [] : open.splice(index, 1);
    if (taken === undefined) throw new Error("no such question is open upstream");
    return taken;
  }

  /** Time passes. */
  async function passes(seconds: number): Promise<void> {
    await clock.advance(seconds * 1000);
    // Replies go through more promises than timers do.
    await clock.advance(0);
  }

  return {
    asks,
    sends,
    passes,
    upstream: {
      answers,
      fails,
      /** Every question that was sent, in order. */
      received,
      /** How many of them are not answered yet. */
      openCount: () => open.length,
      /** A server that had been down answers again. */
      recovers: () => failures.relax(clock.nowMs()),
    },
    cache,
    clock,
    front,
    loopGuard,
    resolver,
    counters: { udp: answerers.udp.counters, tcp: answerers.tcp.counters },
  };
}

/** Asks, and has the upstream answer at once: what a test starts from. */
export async function learn(
  world: World,
  name: string,
  type: TypeName,
  reply: UpstreamReply,
  details: AskDetails = {},
): Promise<ReadMessage> {
  const asked = await world.asks(name, type, details);
  await world.upstream.answers(reply);
  return asked.reply();
}
