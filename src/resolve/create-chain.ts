/*
 * The one place that joins what a question is answered with: cache, recent failures, what is in flight, the search rules, the
 * resolver that walks them, and the onlooker that tells what it would do.
 */
import { type AnswerCache, type CacheLimits, createAnswerCache } from "../cache/answer-cache.ts";
import { createFailureMemory, type FailureLimits, type FailureMemory } from "../cache/failure-memory.ts";
import type { Clock } from "../runtime/clock.ts";
import { type AbsenceLimits, createAbsences } from "../search/absences.ts";
import { laterSteps } from "../search/outside-name.ts";
import { createSearchScope } from "../search/search-scope.ts";
import {
  type CheckedRule,
  createZoneKnowledge,
  type CheckLimits,
  type ZoneKnowledge,
} from "../search/zone-knowledge.ts";
import type { ExchangeResult } from "../upstream/exchange.ts";
import type { Question } from "../wire/question.ts";
import { createForesight, type Foresee, type RouteTaken } from "./foresee.ts";
import { createLoopGuard, type LoopGuard } from "./loop-guard.ts";
import { createResolver, type Resolver, type ResolverLimits } from "./resolver.ts";
import { createSharedQuestions, type SharedQuestions, type WaitLimits } from "./share-in-flight.ts";

/** What the settings bound. Each part reads its own at every use, so they may be changed while queries run. */
export interface ChainLimits {
  readonly cache: CacheLimits;
  readonly failures: FailureLimits;
  readonly waits: WaitLimits;
  readonly checks: CheckLimits;
  readonly absences: AbsenceLimits;
  readonly resolver: ResolverLimits;
}

/** What a chain needs from outside. Names are folded, in wire form. */
export interface ChainOptions {
  readonly limits: ChainLimits;
  readonly clock: Clock;
  /** The cluster zone. */
  readonly zone: Uint8Array;
  /** Search suffixes of the node, beside those of the cluster zone. */
  readonly suffixes: readonly Uint8Array[];
  /** Random letters and digits, at most 63, new for every process: by them our own loop probes are known. */
  readonly loopSecret: string;
  /** Keys the hashes of names in the cache. */
  readonly hashSeed: number;
  /** A number from 0 up to 1: which denials are checked. Left out: by chance. */
  readonly random?: () => number;
  isTopLevelDomain(label: string): boolean;
  /** Asks upstream. Never rejects. */
  ask(question: Question): Promise<ExchangeResult>;
  /** The zone's SOA is getting old: ask for it. Never rejects. */
  learnZone(): Promise<void>;
  /** Upstream contradicted a rule, for this question: the rule is off for a while. */
  onRuleOff(rule: CheckedRule, question: Question): void;
  /** The route that a name would take. */
  routeOf(name: Uint8Array): RouteTaken;
}

/** The parts, joined. */
export interface Chain {
  readonly cache: AnswerCache;
  readonly failures: FailureMemory;
  readonly shared: SharedQuestions;
  readonly knowledge: ZoneKnowledge;
  readonly loopGuard: LoopGuard;
  readonly resolver: Resolver;
  /** What would be done with queries, without doing it. */
  readonly foresee: Foresee;
  /** Whether a search rule is in use at this moment. */
  isRuleOn(rule: CheckedRule, nowMs: number): boolean;
}

/** Creates a chain in which nothing was asked yet. */
export function createChain(options: ChainOptions): Chain {
  const { limits, zone, suffixes, hashSeed, isTopLevelDomain } = options;
  const cache = createAnswerCache(limits.cache);
  const knowledge = createZoneKnowledge(limits.checks, options.random);
  const parts = {
    cache,
    failures: createFailureMemory(limits.failures),
    shared: createSharedQuestions(limits.waits),
    loopGuard: createLoopGuard(options.loopSecret),
    limits: limits.resolver,
    scope: createSearchScope([zone, ...suffixes]),
    laterSteps: (name: Uint8Array) => laterSteps(name, zone, suffixes, isTopLevelDomain),
    absences: createAbsences(zone, limits.absences, knowledge, cache.addressVerdict, isTopLevelDomain),
  };
  return {
    ...parts,
    knowledge,
    resolver: createResolver({ ...options, ...parts, knowledge }),
    foresee: createForesight({ ...parts, hashSeed, routeOf: options.routeOf }),
    isRuleOn(rule, nowMs) {
      const { shortCircuit } = limits.absences;
      const isWanted = shortCircuit === "learned" || (shortCircuit === "certain" && rule === "schema");
      return isWanted && knowledge.mayUse(rule, nowMs);
    },
  };
}
