/*
 * The one place that joins everything a question is answered with: the cache, recent failures, questions in flight, the search rules, the
 * resolver's steps, and the onlooker that foresees what they would do.
 */
import { type AnswerCache, type CacheLimits, createAnswerCache } from "../cache/answer-cache.ts";
import { createFailureMemory, type FailureLimits, type FailureMemory } from "../cache/failure-memory.ts";
import type { Clock } from "../runtime/clock.ts";
import { type AbsenceLimits, type Absences, createAbsences } from "../search/absences.ts";
import { laterNames } from "../search/later-names.ts";
import { laterSteps } from "../search/outside-name.ts";
import type { InferringRule } from "../search/rules.ts";
import { createNameDenials, type NameDenials } from "../search/name-denials.ts";
import { createSearchScope } from "../search/search-scope.ts";
import { type CheckLimits, createZoneKnowledge, type ZoneKnowledge } from "../search/zone-knowledge.ts";
import type { ExchangeResult } from "../upstream/exchange-state.ts";
import { type Question, questionKey } from "../wire/question.ts";
import { createCacheStep } from "./answer-from-cache.ts";
import { createLocalhostStep } from "./answer-localhost.ts";
import { createKnown } from "./answer-from-known.ts";
import { createOutsideNameStep } from "./answer-outside-name.ts";
import { createOutsideNames } from "./outside-names.ts";
import { createParentStep } from "./ask-parent-first.ts";
import { createUpstreamStep } from "./ask-upstream.ts";
import { createDenyStep } from "./deny-absent-name.ts";
import { createSiblingStep } from "./follow-sibling.ts";
import { createForesight, type Foresee } from "./foresee.ts";
import { createJoinStep } from "./join-in-flight.ts";
import { createReplyKeeper, type KeepLimits } from "./keep-reply.ts";
import { createLoopGuard, type LoopGuard } from "./loop-guard.ts";
import { createQuestionFlights } from "./question-flights.ts";
import { createRecheckBudgets } from "./recheck-budget.ts";
import { createFailureStep } from "./repeat-failure.ts";
import {
  createResolver,
  createResolverCounters,
  foresightSteps,
  type Resolver,
  type ResolverSteps,
} from "./resolver.ts";
import type { LaneLimits } from "./route-lane.ts";
import { type AskResult, createQuestionSchedule, type QuestionSchedule } from "./schedule-questions.ts";
import { createSharedQuestions, type SharedQuestions, type WaitLimits } from "./share-in-flight.ts";
import { createStaleAnswers } from "./stale-answers.ts";
import type { RouteTaken } from "./step.ts";
import { createLoopStep } from "./stop-loop.ts";

/** The resolver's policy (settings: cache, search). */
export interface ResolverLimits extends KeepLimits {
  /** How long a client waits before it is given a stale answer (RFC 8767 §5: "client response timer"). */
  readonly staleAfterMs: number;
  /** Whether popular entries are fetched again before they expire. */
  readonly prefetches: boolean;
  /** Whether a suffix query may be answered with the outside name it was meant for. */
  readonly answersOutsideNames: boolean;
}

/** Everything that the settings bound. Each part reads its own limits at every use, so they may be changed while queries run. */
export interface ChainLimits {
  readonly cache: CacheLimits;
  readonly failures: FailureLimits;
  readonly waits: WaitLimits;
  readonly schedule: LaneLimits;
  readonly checks: CheckLimits;
  readonly absences: AbsenceLimits;
  readonly resolver: ResolverLimits;
}

/** What a chain needs from outside. Names are folded and in wire form. */
export interface ChainOptions {
  readonly limits: ChainLimits;
  readonly clock: Clock;
  /** The cluster zone. */
  readonly zone: Uint8Array;
  /** The node's search suffixes, besides those of the cluster zone. */
  readonly suffixes: readonly Uint8Array[];
  /** Random letters and digits, at most 63, new for every process: nodens recognises its own loop probes by them. */
  readonly loopSecret: string;
  /** Keys the hashes of names in the cache. */
  readonly hashSeed: number;
  /** Returns a number from 0 up to 1, which decides whether a denial is checked. Math.random if left out. */
  readonly random?: (() => number) | undefined;
  /** Whether a label, in lower case, is a public top-level domain. */
  isTopLevelDomain(label: string): boolean;
  /** Asks upstream at once, without waiting for a turn. `tell` is to be called once, and never before this returns. */
  ask(question: Question, tell: (result: ExchangeResult) => void): void;
  /** Called when the zone's SOA is getting old: asks for it again. Never rejects. */
  learnZone(): Promise<void>;
  /** Called when upstream has contradicted a rule on this question: the rule is off for a while. */
  onRuleOff(rule: InferringRule, question: Question): void;
  /** The route that a name would take. */
  routeOf(name: Uint8Array): RouteTaken;
  /** Whether no server that knows the name answers at present, as far as is known. */
  isAway(name: Uint8Array): boolean;
  /** Whether a route answers many questions at once at present, rather than one after the other. */
  answersAtOnce(route: string): boolean;
}

/** The parts of a chain, joined. */
export interface Chain {
  readonly cache: AnswerCache;
  readonly failures: FailureMemory;
  readonly shared: SharedQuestions;
  readonly schedule: QuestionSchedule;
  readonly knowledge: ZoneKnowledge;
  readonly nameDenials: NameDenials;
  readonly loopGuard: LoopGuard;
  readonly resolver: Resolver;
  /** Asks a question of nodens's own, behind everything that clients wait for; none while upstream leads back here. Never rejects. */
  askOwn(question: Question): Promise<AskResult>;
  /** Foresees what would be done with queries, without doing it. */
  readonly foresee: Foresee;
  /** Whether a search rule is in use at this moment. */
  readonly isRuleOn: Absences["isOn"];
}

/** Creates a chain in which nothing has been asked yet. */
export function createChain(options: ChainOptions): Chain {
  const { limits, zone, clock, isTopLevelDomain } = options;
  const cache = createAnswerCache(limits.cache);
  const knowledge = createZoneKnowledge(limits.checks, options.random);
  const shared = createSharedQuestions(limits.waits);
  const counters = createResolverCounters();
  const { ask, routeOf, answersAtOnce } = options;
  const schedule = createQuestionSchedule({
    limits: limits.schedule,
    clock,
    shed: counters.shed,
    routeOf,
    answersAtOnce,
    ask,
  });
  const loopGuard = createLoopGuard(options.loopSecret);
  const askOwn = (question: Question): Promise<AskResult> => {
    // It would come back, and count as what a client asks.
    if (loopGuard.isLooping()) return Promise.resolve({ failure: "stopped" });
    return new Promise((tell) => schedule.ask(question, questionKey(question), { class: "check", client: "" }, tell));
  };
  const parts = {
    cache,
    knowledge,
    nameDenials: createNameDenials([zone, ...options.suffixes], knowledge, clock.nowMs),
    shared,
    schedule,
    askOwn,
    failures: createFailureMemory(limits.failures),
    loopGuard,
    absences: createAbsences({
      zone,
      limits: limits.absences,
      knowledge,
      verdicts: cache,
      isTopLevelDomain,
      hashSeed: options.hashSeed,
    }),
  };
  const steps = createSteps(options, parts, counters);
  return {
    ...parts,
    resolver: createResolver(steps, clock, counters),
    foresee: createForesight(foresightSteps(steps), shared, options.hashSeed),
    isRuleOn: parts.absences.isOn,
  };
}

type Parts = Pick<
  Chain,
  "cache" | "knowledge" | "nameDenials" | "shared" | "schedule" | "askOwn" | "failures" | "loopGuard"
> & {
  readonly absences: Absences;
};

/** The steps, joined to what they share. The resolver decides their order. */
function createSteps(options: ChainOptions, parts: Parts, counters: Resolver["counters"]): ResolverSteps {
  const { limits, clock, zone, suffixes, isTopLevelDomain, routeOf } = options;
  const { cache, shared, loopGuard } = parts;
  const scope = createSearchScope([zone, ...suffixes]);
  const stale = createStaleAnswers({
    ...parts,
    clock,
    hashSeed: options.hashSeed,
    limits: limits.resolver,
    laterNames: (name) => laterNames(name, zone, suffixes),
  });
  const rechecks = createRecheckBudgets();
  const rechecksOf = (name: Uint8Array) => rechecks(routeOf(name).route);
  const keeper = createReplyKeeper({
    ...parts,
    scope,
    stale,
    rechecksOf,
    zone,
    clock,
    limits: limits.resolver,
    counters,
  });
  const flights = createQuestionFlights({ ...parts, stale, keeper, clock, counters, routeOf, isAway: options.isAway });
  const outsideNames = createOutsideNames(limits.resolver, loopGuard);
  const checks = { ...parts, clock, ask: parts.askOwn, keep: keeper.keep, onRuleOff: options.onRuleOff };
  const deny = createDenyStep({ ...parts, clock, outsideNames, checks, counters, learnZone: options.learnZone });
  const isOnItsWay = (question: Question) => shared.find(question) !== undefined;
  const known = createKnown(cache, deny);
  const shares = { ...parts, flights, known, clock, outsideNames };
  return {
    cache: createCacheStep({ cache, flights, outsideNames, limits: limits.resolver }, clock.nowMs),
    deny,
    localhost: createLocalhostStep(clock.nowMs),
    loop: createLoopStep(loopGuard, stale),
    failure: createFailureStep({
      ...parts,
      stale,
      flights,
      rechecks,
      clock,
      counters,
      isOnItsWay,
      routeOf,
      isAway: options.isAway,
    }),
    join: createJoinStep(shared, flights, stale, counters, routeOf),
    outsideName: createOutsideNameStep({
      ...shares,
      denyStep: deny,
      counters,
      laterSteps: (name) => laterSteps(name, zone, suffixes, isTopLevelDomain),
    }),
    sibling: createSiblingStep(shares),
    parent: createParentStep({ ...shares, routeOf }),
    upstream: createUpstreamStep(flights, routeOf),
  };
}
