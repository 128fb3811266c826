/*
 * The chain of steps from a question to its answer: their order, with the reason for each place. The first three are for listeners
 * to call one by one, on bytes and without a promise; most queries end there. Everything after them may take its time.
 */
import type { CacheEntry } from "../cache/entry.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Absence } from "../search/absences.ts";
import { Rcode } from "../wire/codes.ts";
import { type ClientQuery, isLookup } from "../wire/query.ts";
import { questionKey, questionOf } from "../wire/question.ts";
import type { Answer } from "./answer.ts";
import type { CacheStep } from "./answer-from-cache.ts";
import { createDenialCounters, type DenialCounters, type DenyStep } from "./deny-absent-name.ts";
import type { ShedCounters } from "./shed-counters.ts";
import type { Asked, ForeseeStep, Step } from "./step.ts";
import type { LoopStep } from "./stop-loop.ts";

/** What the resolver did, as plain integers. */
export interface ResolverCounters {
  coalesced: number;
  prefetches: number;
  staleAnswers: number;
  staleAgeSeconds: number;
  cachedFailures: number;
  /** Replies that were relayed but not kept. */
  unkeptReplies: number;
  /** Suffix queries that were answered with the outside name. */
  outsideAnswers: number;
  readonly denials: DenialCounters;
  /** Questions, and clients who would have waited for one, that were let go under a bound. */
  readonly shed: ShedCounters;
}

/** What listeners know of everything behind them. */
export interface Resolver {
  /** Whether the query is a loop probe of our own that has come back: then it gets no reply. For queries of type HINFO. */
  takesLoopProbe(query: ClientQuery): boolean;
  /** The reply code for what is never looked up, or undefined: no transfers, no other classes, no key exchange. */
  refuse(query: ClientQuery): number | undefined;
  /** The fresh entry for a query, which stays the cache's. Undefined sends the caller on to `deny`. */
  lookup(query: ClientQuery, nowMs: number): CacheEntry | undefined;
  /** The rule that says, without asking, that the query's name is absent. Valid until the next call; never stored. */
  deny(query: ClientQuery, nowMs: number): Absence | undefined;
  /** Everything else. `query` is the caller's own copy; `client` the asker's address, for its bounds. Never rejects. */
  resolve(query: ClientQuery, client: string): Answer | Promise<Answer>;
  readonly counters: ResolverCounters;
}

/** Every step. */
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

/** The steps behind the first three, in their order. */
function slowSteps(steps: ResolverSteps): readonly Step[] {
  return [
    // First, because no state of upstream matters to it.
    steps.localhost,
    // Then, because forwarding it again would close the circle.
    steps.loop,
    // Before joining: what failed a moment ago is not worth a place in a queue.
    steps.failure,
    // Before asking: one question upstream for all who wait for it.
    steps.join,
    // Then, if the settings want it, the outside name behind a suffix query whose denial is known.
    steps.outsideName,
    // Then what may make the question unnecessary: the other address type, which is on its way and may deny the name for both ...
    steps.sibling,
    // ... or a parent, whose denial covers this name and many to come.
    steps.parent,
    // Last, because it costs a flow, a server and time.
    steps.upstream,
  ];
}

/** The onlooker's faces of all steps, in the order in which a query meets them. */
export function foresightSteps(steps: ResolverSteps): readonly ForeseeStep[] {
  const refuse: ForeseeStep = ({ query }) => (refusalOf(query) === undefined ? undefined : { kind: "refused" });
  return [refuse, steps.cache.foresee, steps.deny.foresee, ...slowSteps(steps).map(({ foresee }) => foresee)];
}

/** Creates the resolver over its steps, which count in `counters` too. */
export function createResolver(steps: ResolverSteps, clock: Clock, counters: ResolverCounters): Resolver {
  const inOrder = slowSteps(steps);

  function resolve(query: ClientQuery, client: string): Answer | Promise<Answer> {
    const question = questionOf(query);
    const answer = firstAnswer({ query, question, key: questionKey(question), client });
    return answer instanceof Promise ? answer.then(countStale) : countStale(answer);
  }

  function firstAnswer(asked: Asked): Answer | Promise<Answer> {
    for (const step of inOrder) {
      const answer = step.act(asked);
      if (answer !== undefined) return answer;
    }
    throw new Error("a bug in nodens: no step answered");
  }

  /** Counts where a client is given it: a stale answer is made once for many, and ahead of an expiry for nobody. */
  function countStale(answer: Answer): Answer {
    if (answer.kind === "message" && answer.source === "stale") {
      counters.staleAnswers += 1;
      counters.staleAgeSeconds += Math.max(0, clock.nowMs() - answer.entry.expiresAtMs) / 1000;
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

/** Counters that are all 0. */
export function createResolverCounters(): ResolverCounters {
  return {
    coalesced: 0,
    prefetches: 0,
    staleAnswers: 0,
    staleAgeSeconds: 0,
    cachedFailures: 0,
    unkeptReplies: 0,
    outsideAnswers: 0,
    denials: createDenialCounters(),
    shed: new Map(),
  };
}

function refusalOf(query: ClientQuery): number | undefined {
  return isLookup(query.type, query.class) ? undefined : Rcode.REFUSED;
}
