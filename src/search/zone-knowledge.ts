/*
 * What is known of the cluster zone, and with it whether the rules that deny without asking may be used:
 *
 *   - only once the zone has shown its schema (`dns-version.Z` TXT). The older kube-dns has no such record, and denies
 *     namespaces that exist;
 *   - only with an SOA that the zone itself sent, and that is not too old;
 *   - not while a rule stands corrected: a denial that upstream contradicts switches its rule off. After a pause it is tried
 *     again, and then looked at more often until it has proved itself.
 */
import type { SoaRecord } from "../wire/denial.ts";
import { forEachInferringRule, type InferringRule } from "./rules.ts";

/** Settings of the checks. */
export interface CheckLimits {
  /** One in so many denials of a rule is also asked upstream. 0 checks none. */
  readonly checkOneIn: number;
}

/** Plain integers for the metrics. */
export interface RuleCounters {
  checks: number;
  disagreements: number;
}

/** What is known of one zone. All moments are monotonic milliseconds. */
export interface ZoneKnowledge {
  /** The zone answered, or did not answer, the question for its schema version. Starts as not shown. */
  noteSchema(isShown: boolean): void;
  hasSchema(): boolean;
  /** An SOA came with a denial of the zone. */
  noteSoa(soa: SoaRecord, nowMs: number): void;
  soa(): SoaRecord | undefined;
  /** How long, in whole seconds, a denial may still refer to the SOA, from its TTL down to 1 and anew; 0 when it is too old. */
  soaLifeSeconds(nowMs: number): number;
  /** Whether the SOA should be asked for again; true once per half of its life, so that somebody does. */
  takeRefresh(nowMs: number): boolean;
  mayUse(rule: InferringRule, nowMs: number): boolean;
  /** Whether this denial is one of those to check. Counts it. */
  takeCheck(rule: InferringRule, nowMs: number): boolean;
  /** What a check found. Returns true when this has just switched the rule off. */
  noteCheck(rule: InferringRule, hasAgreed: boolean, nowMs: number): boolean;
  readonly counters: Readonly<Record<InferringRule, RuleCounters>>;
}

/** After so long without a denial of the zone its SOA is not used any more. */
const maxSoaAgeSeconds = 3600;

/** How long a corrected rule stays off. */
const pauseMs = 10 * 60_000;

/** However many denials of a rule there are, no more are checked in a second: each may cost a few questions. */
const maxChecksPerSecond = 32;

/** While it has to prove itself, a rule is checked so many times as often, for so many agreeing checks. */
const probationFactor = 8;
const probationChecks = 64;

/**
 * Creates the knowledge of a zone that has shown nothing yet. `random` gives numbers from 0 up to, not including, 1: which denials
 * are checked is left to chance, because clients ask in patterns, and a name must not escape by its place in one.
 */
export function createZoneKnowledge(limits: CheckLimits, random: () => number = Math.random): ZoneKnowledge {
  const rules = forEachInferringRule(newRuleState);
  let isSchemaShown = false;
  let soa: SoaRecord | undefined;
  let soaLearnedAtMs = 0;
  let refreshAtMs = 0;

  /**
   * An SOA that was not seen for longer than its TTL is still the zone's: it begins another life, and the next one who uses it has it
   * asked for again. Otherwise the first lookup after a quiet minute would cost what the rules are there to save.
   */
  function soaLifeSeconds(nowMs: number): number {
    const ageSeconds = Math.floor((nowMs - soaLearnedAtMs) / 1000);
    if (soa === undefined || soa.denialTtlSeconds === 0 || ageSeconds >= maxSoaAgeSeconds) return 0;
    return soa.denialTtlSeconds - (ageSeconds % soa.denialTtlSeconds);
  }

  return {
    noteSchema(isShown) {
      isSchemaShown = isShown;
    },
    hasSchema: () => isSchemaShown,
    noteSoa(learned, nowMs) {
      soa = learned;
      soaLearnedAtMs = nowMs;
      refreshAtMs = nowMs + learned.denialTtlSeconds * 500;
    },
    soa: () => soa,
    soaLifeSeconds,
    takeRefresh(nowMs) {
      if (nowMs < refreshAtMs) return false;
      refreshAtMs = nowMs + 1000 * Math.max(1, (soa?.denialTtlSeconds ?? 0) / 2);
      return true;
    },
    mayUse: (rule, nowMs) => isSchemaShown && nowMs >= rules[rule].offUntilMs && soaLifeSeconds(nowMs) > 0,
    takeCheck(rule, nowMs) {
      const state = rules[rule];
      if (limits.checkOneIn === 0) return false;
      const isOnProbation = state.checksUntilTrusted > 0;
      const oneIn = isOnProbation ? Math.max(1, Math.floor(limits.checkOneIn / probationFactor)) : limits.checkOneIn;
      const longestGap = 2 * oneIn - 1;
      state.untilCheck = Math.min(state.untilCheck, longestGap) - 1;
      if (state.untilCheck > 0 || !takeFromBudget(state, nowMs)) return false;
      state.untilCheck = 1 + Math.floor(random() * longestGap);
      state.counters.checks += 1;
      return true;
    },
    noteCheck(rule, hasAgreed, nowMs) {
      const state = rules[rule];
      if (hasAgreed) {
        state.checksUntilTrusted = Math.max(0, state.checksUntilTrusted - 1);
        return false;
      }
      state.counters.disagreements += 1;
      const wasOn = nowMs >= state.offUntilMs;
      state.offUntilMs = nowMs + pauseMs;
      state.checksUntilTrusted = probationChecks;
      state.untilCheck = 1;
      return wasOn;
    },
    counters: forEachInferringRule((rule) => rules[rule].counters),
  };
}

/** A bucket of one second's checks, which fills up with time. */
function takeFromBudget(state: RuleState, nowMs: number): boolean {
  const filled = state.checksLeft + ((nowMs - state.filledAtMs) * maxChecksPerSecond) / 1000;
  state.checksLeft = Math.min(maxChecksPerSecond, filled);
  state.filledAtMs = nowMs;
  if (state.checksLeft < 1) return false;
  state.checksLeft -= 1;
  return true;
}

interface RuleState {
  checksLeft: number;
  filledAtMs: number;
  offUntilMs: number;
  /** How many denials there are up to the next check, that one included. */
  untilCheck: number;
  checksUntilTrusted: number;
  readonly counters: RuleCounters;
}

function newRuleState(): RuleState {
  return {
    offUntilMs: -Infinity,
    untilCheck: Infinity,
    checksUntilTrusted: 0,
    checksLeft: maxChecksPerSecond,
    filledAtMs: 0,
    counters: { checks: 0, disagreements: 0 },
  };
}
