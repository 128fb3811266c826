/*
 * The chain of steps from a question to its answer: their order, and the reason for each position. Listeners call the first ones one by one,
 * on bytes and without a promise; most queries end there. Everything after them may take its time.
 */
import type { CacheEntry } from "../cache/entry.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Absence } from "../search/absences.ts";
import { Rcode } from "../wire/codes.ts";
import { type ClientQuery, isLookup } from "../wire/query.ts";
import { questionKey, questionOfCopy } from "../wire/question.ts";
import type { Answer } from "./answer.ts";
import type { CacheStep } from "./answer-from-cache.ts";
import { createDenialCounters, type DenialCounters, type DenyStep } from "./deny-absent-name.ts";
import type { Tell } from "./share-in-flight.ts";
import type { ShedCounters } from "./shed-counters.ts";
import type { Asked, ForeseeStep, Step } from "./step.ts";
import type { LoopStep } from "./stop-loop.ts";

/** What the resolver did, as plain integers that only grow. */
export interface ResolverCounters {
  /** Queries that waited for a question already in flight. */
  coalesced: number;
  prefetches: number;
  staleAnswers: number;
  /** How long ago the stale answers had expired when they were given, added up. */
  staleAgeSeconds: number;
  /** Questions that were answered with a remembered failure. */
  cachedFailures: number;
  /** Stale answers that were given because the budget for asking again had no room. */
  delayedRechecks: number;
  /** Replies that were passed on but not stored. */
  unkeptReplies: number;
  /** Suffix queries that were answered with the outside name. */
  outsideAnswers: number;
  readonly denials: DenialCounters;
  /** Questions, and clients that would have waited for one, that were shed. */
  readonly shed: ShedCounters;
}

/** All that listeners know about what lies behind them. */
export interface Resolver {
  /** Whether the query is nodens's own loop probe come back, which gets no reply. Only queries of type HINFO can be. */
  takesLoopProbe(query: ClientQuery): boolean;
  /** The rcode for queries that are never looked up (transfers, other classes, key exchange), or undefined for all others. */
  refuse(query: ClientQuery): number | undefined;
  /** The fresh entry for a query, which still belongs to the cache. If undefined, the caller goes on to `deny`. */
  lookup(query: ClientQuery, nowMs: number): CacheEntry | undefined;
  /** The absence of the query's name by a rule, without asking upstream. Valid until the next call. If undefined, go on to `resolve`. */
  deny(query: ClientQuery, nowMs: number): Absence | undefined;
  /**
   * All the rest. `query` is a copy that the resolver may keep; `client` is the asker's address, for its bounds. Returns the answer, or
   * "later": then `tell` is told it, once, and never before this returns. No promise for what is asked by the thousand.
   */
  resolve(query: ClientQuery, client: string, tell: Tell): Answer | "later";
  readonly counters: ResolverCounters;
}

/** All steps of the chain. */
export interface ResolverSteps {
  readonly cache: CacheStep;
  readonly deny: DenyStep;
  readonly localhost: Step;
  readonly loop: LoopStep;
  readonly failure: Step;
  readonly join: Step;
  readonly outsideName: Step;
  readonly sibling: Step;
  readonly parent: Step;
  readonly upstream: Step;
}

/** The steps that follow `lookup` and `deny`, in their order. */
function slowSteps(steps: ResolverSteps): readonly Step[] {
  return [
    // First, because no state of upstream matters to it.
    steps.localhost,
    // Then, because forwarding the question would send it round again.
    steps.loop,
    // Before joining: what failed a moment ago is not worth a place in a queue.
    steps.failure,
    // Before asking: one upstream question for all clients that wait for it.
    steps.join,
    // Then, if the settings say so, the outside name behind a suffix query whose denial is known.
    steps.outsideName,
    // Then what may make the question unnecessary: the other address type, if it is in flight, may deny the name for both ...
    steps.sibling,
    // ... or a parent may, with a denial that covers this name and many to come.
    steps.parent,
    // Last, because it costs a flow, a server and time.
    steps.upstream,
  ];
}

/** What each step foresees, in the order in which a query meets the steps. */
export function foresightSteps(steps: ResolverSteps): readonly ForeseeStep[] {
  const refuse: ForeseeStep = ({ query }) => (refusalOf(query) === undefined ? undefined : { kind: "refused" });
  return [refuse, steps.cache.foresee, steps.deny.foresee, ...slowSteps(steps).map(({ foresee }) => foresee)];
}

/** Creates the resolver over its steps, which count in the same `counters`. */
export function createResolver(steps: ResolverSteps, clock: Clock, counters: ResolverCounters): Resolver {
  const inOrder = slowSteps(steps);

  function resolve(query: ClientQuery, client: string, tell: Tell): Answer | "later" {
    const question = questionOfCopy(query);
    const asked: Asked = { query, question, key: questionKey(question), client };
    const answer = firstAnswer(asked, (told) => tell(countStale(told)));
    return answer === "later" ? answer : countStale(answer);
  }

  function firstAnswer(asked: Asked, tell: Tell): Answer | "later" {
    for (const step of inOrder) {
      const answer = step.act(asked, tell);
      if (answer !== undefined) return answer;
    }
    throw new Error("a bug in nodens: no step answered");
  }

  /** Counted for each client that gets one: a stale answer is made once for many clients, and for none after a prefetch. */
  function countStale(answer: Answer): Answer {
    const expiredAtMs = expiryOfStale(answer);
    if (expiredAtMs !== undefined) {
      counters.staleAnswers += 1;
      counters.staleAgeSeconds += Math.max(0, clock.nowMs() - expiredAtMs) / 1000;
    }
    return answer;
  }

  return {
    takesLoopProbe: steps.loop.takesProbe,
    refuse: refusalOf,
    lookup: steps.cache.lookup,
    deny: steps.deny.deny,
    resolve,
    counters,
  };
}

/** Creates counters that are all 0. */
export function createResolverCounters(): ResolverCounters {
  return {
    coalesced: 0,
    prefetches: 0,
    staleAnswers: 0,
    staleAgeSeconds: 0,
    cachedFailures: 0,
    delayedRechecks: 0,
    unkeptReplies: 0,
    outsideAnswers: 0,
    denials: createDenialCounters(),
    shed: new Map(),
  };
}

/** When a stale answer expired; undefined for any other. */
function expiryOfStale(answer: Answer): number | undefined {
  if (answer.kind === "denial") return answer.expiredAtMs;
  return answer.kind === "message" && answer.source === "stale" ? answer.entry.expiresAtMs : undefined;
}

function refusalOf(query: ClientQuery): number | undefined {
  return isLookup(query.type, query.class) ? undefined : Rcode.REFUSED;
}
