/*
 * The chain of steps from a question to its answer, in their order, with the reason for each place. The cache hit is a step of
 * its own (`lookup`): bytes only, no promise. Everything after it may take its time.
 */
import type { AnswerCache } from "../cache/answer-cache.ts";
import { type CacheEntry, createEntry, isAddressType, questionOfEntry } from "../cache/entry.ts";
import type { FailureMemory } from "../cache/failure-memory.ts";
import { judgeLifetime } from "../cache/lifetime.ts";
import type { Clock } from "../runtime/clock.ts";
import type { SearchScope } from "../search/search-scope.ts";
import type { ExchangeResult } from "../upstream/exchange.ts";
import { ExtendedError, Rcode } from "../wire/codes.ts";
import { Flag } from "../wire/header.ts";
import { type ClientQuery, isLookup } from "../wire/query.ts";
import { type Question, questionKey } from "../wire/question.ts";
import type { Reply } from "../wire/reply.ts";
import type { Answer } from "./answer.ts";
import type { LoopGuard } from "./loop-guard.ts";
import type { SharedQuestions } from "./share-in-flight.ts";

/** Policy (settings: cache). */
export interface ResolverLimits {
  readonly maxTtlSeconds: number;
  readonly maxDenialTtlSeconds: number;
  /** Inside the cluster zone: people create Services and expect them. */
  readonly maxClusterDenialTtlSeconds: number;
  /** When a client is given a stale answer rather than left waiting (RFC 8767 §5: "client response timer"). */
  readonly staleAfterMs: number;
  readonly prefetches: boolean;
}

/** The rooms that the chain leads through. */
export interface ResolverParts {
  readonly cache: AnswerCache;
  readonly failures: FailureMemory;
  readonly shared: SharedQuestions;
  readonly scope: SearchScope;
  readonly loopGuard: LoopGuard;
  readonly clock: Clock;
  readonly limits: ResolverLimits;
  ask(question: Question): Promise<ExchangeResult>;
}

/** What the resolver did, as plain integers. */
export interface ResolverCounters {
  coalesced: number;
  prefetches: number;
  staleAnswers: number;
  staleAgeSeconds: number;
  cachedFailures: number;
  /** Replies that were relayed but not kept. */
  unkeptReplies: number;
  readonly shed: Record<"inflight" | "waiters" | "client", number>;
}

/** What listeners know of everything behind them. */
export interface Resolver {
  /** The reply code for what is never looked up, or undefined: no transfers, no other classes, no key exchange. */
  refuse(query: ClientQuery): number | undefined;
  /** The fresh entry for a query, which stays the cache's. Undefined sends the caller on to `resolve`. */
  lookup(query: ClientQuery, nowMs: number): CacheEntry | undefined;
  /** Everything that is not a hit. `client` is the asker's address, for its bounds. Never rejects. */
  resolve(question: Question, client: string): Answer | Promise<Answer>;
  readonly counters: ResolverCounters;
}

/** TTL of a stale answer, and how long it is given before upstream is asked again (RFC 8767 §4, §5). */
const staleTtlSeconds = 30;

/** A name is popular enough to be fetched ahead of its expiry once it was asked so often while it lived. */
const prefetchHits = 3;

/** Creates the chain over its parts. */
export function createResolver(parts: ResolverParts): Resolver {
  const { cache, failures, shared, clock, limits } = parts;
  const counters: ResolverCounters = {
    coalesced: 0,
    prefetches: 0,
    staleAnswers: 0,
    staleAgeSeconds: 0,
    cachedFailures: 0,
    unkeptReplies: 0,
    shed: { inflight: 0, waiters: 0, client: 0 },
  };

  function refuse(query: ClientQuery): number | undefined {
    return isLookup(query.type, query.class) ? undefined : Rcode.REFUSED;
  }

  function lookup(query: ClientQuery, nowMs: number): CacheEntry | undefined {
    const entry = cache.find(query, nowMs);
    if (entry === undefined) return undefined;
    entry.hits += 1;
    if (nowMs >= entry.refreshAtMs && entry.hits >= prefetchHits && limits.prefetches) prefetch(entry);
    return entry;
  }

  function resolve(question: Question, client: string): Answer | Promise<Answer> {
    const key = questionKey(question);
    const answer =
      // First, because forwarding it again would close the circle.
      stopLoop(question) ??
      // Before joining: what failed a moment ago is not worth a place in a queue.
      repeatRecentFailure(question, key) ??
      // Before asking: one question upstream for all who wait for it.
      joinInFlight(question, key, client) ??
      // Last, because it costs a flow, a server and time.
      askUpstream(question, key, client);
    return answer instanceof Promise ? answer.then(countStale) : countStale(answer);
  }

  /** Counts where a client is given it: a stale answer is made once for many, and ahead of an expiry for nobody. */
  function countStale(answer: Answer): Answer {
    if (answer.kind === "message" && answer.source === "stale") {
      counters.staleAnswers += 1;
      counters.staleAgeSeconds += Math.max(0, clock.nowMs() - answer.entry.expiresAtMs) / 1000;
    }
    return answer;
  }

  function stopLoop(question: Question): Answer | undefined {
    if (parts.loopGuard.isOwnProbe(question)) return { kind: "dropped", reason: "loop" };
    if (!parts.loopGuard.isLooping()) return undefined;
    return { kind: "error", rcode: Rcode.SERVFAIL, extendedError: ExtendedError.noReachableAuthority };
  }

  function repeatRecentFailure(question: Question, key: string): Answer | undefined {
    const failure = failures.find(key, clock.nowMs());
    if (failure === undefined) return undefined;
    counters.cachedFailures += 1;
    return staleAnswer(question) ?? { kind: "error", rcode: failure.rcode, extendedError: ExtendedError.cachedError };
  }

  function joinInFlight(question: Question, key: string, client: string): Answer | Promise<Answer> | undefined {
    const inFlight = shared.find(key);
    if (inFlight === undefined) return undefined;
    const waiting = shared.wait(inFlight, client);
    if (typeof waiting === "string") return shed(question, waiting);
    counters.coalesced += 1;
    return waiting;
  }

  function askUpstream(question: Question, key: string, client: string): Answer | Promise<Answer> {
    // Before it is asked: who may not wait must not use up the flows either.
    const bound = shared.hasRoom() ? shared.boundAgainst(client) : "inflight";
    if (bound !== undefined) return shed(question, bound);
    const waiting = shared.wait(start(question, key), client);
    return typeof waiting === "string" ? shed(question, waiting) : waiting;
  }

  /** Under a bound: a stale answer if one is held, else silence. */
  function shed(question: Question, reason: "inflight" | "waiters" | "client"): Answer {
    counters.shed[reason] += 1;
    return staleAnswer(question) ?? { kind: "dropped", reason };
  }

  function prefetch(entry: CacheEntry): void {
    const question = questionOfEntry(entry);
    const key = questionKey(question);
    entry.refreshAtMs = Infinity;
    if (shared.find(key) !== undefined || failures.find(key, clock.nowMs()) !== undefined || !shared.hasRoom()) return;
    counters.prefetches += 1;
    start(question, key);
  }

  function start(question: Question, key: string) {
    const fresh = fetch(question, key);
    const answer = hasStale(question) ? preferFresh(fresh, question) : fresh;
    return shared.start(key, answer, fresh);
  }

  /** The fresh answer, or the stale one when that fails or takes too long; the fresh one fills the cache all the same. */
  function preferFresh(fresh: Promise<Answer>, question: Question): Promise<Answer> {
    return new Promise((resolveWith) => {
      const cancel = clock.after(limits.staleAfterMs, () => {
        const stale = staleAnswer(question);
        if (stale !== undefined) resolveWith(stale);
      });
      void fresh.then((answer) => {
        cancel();
        resolveWith(answer.kind === "error" ? (staleAnswer(question) ?? answer) : answer);
      });
    });
  }

  async function fetch(question: Question, key: string): Promise<Answer> {
    const result = await parts.ask(question);
    if ("failure" in result) {
      const isSilent = result.failure === "timeout";
      const code = isSilent ? ExtendedError.noReachableAuthority : ExtendedError.networkError;
      return fail(question, key, Rcode.SERVFAIL, code);
    }
    const rcode = failureRcode(result.reply);
    if (rcode !== undefined) return fail(question, key, rcode, ExtendedError.none);
    failures.forget(key);
    return keep(question, result.reply);
  }

  function fail(question: Question, key: string, rcode: number, extendedError: number): Answer {
    // With a stale answer to give there is no hurry to ask again (RFC 8767 §5: "failure recheck timer").
    failures.remember(key, rcode, hasStale(question) ? staleTtlSeconds : 0, clock.nowMs());
    return { kind: "error", rcode, extendedError };
  }

  /** Stores what may be stored, and answers from it. */
  function keep(question: Question, reply: Reply): Answer {
    const nowMs = clock.nowMs();
    const isInScope = parts.scope(question.name);
    const maxDenialTtlSeconds = isInScope
      ? Math.min(limits.maxClusterDenialTtlSeconds, limits.maxDenialTtlSeconds)
      : limits.maxDenialTtlSeconds;
    const lifetime = judgeLifetime(reply, question, { maxTtlSeconds: limits.maxTtlSeconds, maxDenialTtlSeconds });
    const isSharedDenial = isInScope && isWholeNameDenied(question, reply);
    const entry = createEntry(question, reply, lifetime, limits.maxTtlSeconds, isSharedDenial, nowMs);
    const isKept = lifetime.ttlSeconds > 0 && question.recursionDesired;
    if (isKept) cache.store(entry);
    else counters.unkeptReplies += 1;
    const isWholeAnswer = (reply.flags & Flag.TC) === 0 && question.recursionDesired;
    if (!isKept && isWholeAnswer) cache.withdraw(entry);
    return {
      kind: "message",
      entry,
      fixedTtlSeconds: 0,
      extendedError: ExtendedError.none,
      source: "upstream",
    };
  }

  function hasStale(question: Question): boolean {
    return question.recursionDesired && cache.findStale(question, clock.nowMs()) !== undefined;
  }

  function staleAnswer(question: Question): Answer | undefined {
    if (!question.recursionDesired) return undefined;
    const entry = cache.findStale(question, clock.nowMs());
    if (entry === undefined) return undefined;
    const extendedError = ExtendedError.staleAnswer;
    return { kind: "message", entry, fixedTtlSeconds: staleTtlSeconds, extendedError, source: "stale" };
  }

  return { refuse, lookup, resolve, counters };
}

/** NXDOMAIN of the name itself, for A or AAAA: inside the search scope it holds for both. */
function isWholeNameDenied(question: Question, reply: Reply): boolean {
  return reply.rcode === Rcode.NXDOMAIN && reply.answers.length === 0 && isAddressType(question.type);
}

/**
 * The code that clients are told when a reply is no answer, or undefined. An upstream's REFUSED becomes SERVFAIL: it is mostly
 * the upstream's own overload, and REFUSED costs musl and glibc more than SERVFAIL does.
 */
function failureRcode(reply: Reply): number | undefined {
  switch (reply.rcode) {
    case Rcode.NOERROR:
    case Rcode.NXDOMAIN:
      return undefined;
    case Rcode.FORMERR:
    case Rcode.NOTIMP:
      return reply.rcode;
    default:
      return Rcode.SERVFAIL;
  }
}
