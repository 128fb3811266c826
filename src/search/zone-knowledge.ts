/*
 * What is known about the cluster zone, and so whether the rules that deny without asking may be used:
 *
 *   - only once the zone has shown its schema (`dns-version.Z` TXT). The older kube-dns has no such record, and denies
 *     namespaces that exist;
 *   - only with an SOA that the zone itself sent, and that is not too old;
 *   - not while a rule is switched off: a denial that upstream contradicts does that to its rule. After a pause the rule is
 *     tried again, and its denials are checked more often until it has proved itself.
 */
import type { SoaRecord } from "../wire/denial.ts";
import { forEachInferringRule, type InferringRule } from "./rules.ts";

/** Settings of the checks. They may change while queries run. */
export interface CheckLimits {
  /** One in this many denials of a rule is also asked upstream. 0: none is. */
  readonly checkOneIn: number;
}

/** How often a rule's denials were checked, and contradicted, since the start. */
export interface RuleCounters {
  checks: number;
  disagreements: number;
}

/** What is known about one zone. All moments are monotonic milliseconds. */
export interface ZoneKnowledge {
  /** The zone did, or did not, answer the question for its schema version. Until then it has not. */
  noteSchema(isShown: boolean): void;
  /** Whether the zone has shown its schema. */
  hasSchema(): boolean;
  /** An SOA came with one of the zone's denials. It is kept, not copied. */
  noteSoa(soa: SoaRecord, nowMs: number): void;
  /** The newest SOA, whatever its age; undefined before the first. */
  soa(): SoaRecord | undefined;
  /** For how many whole seconds a denial may carry the SOA: counts down from its TTL to 1, and over again; 0 when it is too old. */
  soaLifeSeconds(nowMs: number): number;
  /** Whether the caller should ask for the SOA again: true once per half of its life. */
  takeRefresh(nowMs: number): boolean;
  /** Whether a rule may be used: the zone has shown its schema, its SOA is not too old, and the rule is not switched off. */
  mayUse(rule: InferringRule, nowMs: number): boolean;
  /** Whether the caller should check this denial of the rule upstream. Counts the denial and the check. */
  takeCheck(rule: InferringRule, nowMs: number): boolean;
  /** Whether a check agreed with the rule's denial. Returns true when this switches off a rule that was on. */
  noteCheck(rule: InferringRule, hasAgreed: boolean, nowMs: number): boolean;
  readonly counters: Readonly<Record<InferringRule, RuleCounters>>;
}

/** The zone's SOA is used until this long after its last denial. */
const maxSoaAgeSeconds = 3600;

/** How long a corrected rule stays off. */
const pauseMs = 10 * 60_000;

/**
 * The most checks of a rule in a second, however many denials there are: each is a question that the rule was to spare. On probation there
 * are more, so that a rule has soon proved itself, or been found out.
 */
const maxChecksPerSecond = { trusted: 4, onProbation: 32 };

/** After a pause a rule is checked this many times as often, until this many checks have agreed. */
const probationFactor = 8;
const probationChecks = 64;

/**
 * Creates the knowledge about a zone that has shown nothing yet. `random` gives numbers from 0 up to, but not including, 1: chance
 * decides which denials are checked, because clients ask in patterns, and no name may escape by its place in one.
 */
export function createZoneKnowledge(limits: CheckLimits, random: () => number = Math.random): ZoneKnowledge {
  const rules = forEachInferringRule(newRuleState);
  let isSchemaShown = false;
  let soa: SoaRecord | undefined;
  let soaLearnedAtMs = 0;
  let refreshAtMs = 0;

  /**
   * An SOA that has not been seen for longer than its TTL is still the zone's: it starts another life, and its next use has it asked
   * for again. Otherwise the first lookup after a quiet minute would cost what the rules are there to save.
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
      if (
        state.untilCheck > 0 ||
        !takeFromBudget(state, nowMs, maxChecksPerSecond[isOnProbation ? "onProbation" : "trusted"])
      )
        return false;
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

/** Takes one check from a bucket that holds those of one second and refills with time. False when it is empty. */
function takeFromBudget(state: RuleState, nowMs: number, perSecond: number): boolean {
  const filled = state.checksLeft + ((nowMs - state.filledAtMs) * perSecond) / 1000;
  state.checksLeft = Math.min(perSecond, filled);
  state.filledAtMs = nowMs;
  if (state.checksLeft < 1) return false;
  state.checksLeft -= 1;
  return true;
}

interface RuleState {
  checksLeft: number;
  filledAtMs: number;
  offUntilMs: number;
  /** The number of denials up to and including the next one that is checked. */
  untilCheck: number;
  checksUntilTrusted: number;
  readonly counters: RuleCounters;
}

function newRuleState(): RuleState {
  return {
    offUntilMs: -Infinity,
    untilCheck: Infinity,
    checksUntilTrusted: 0,
    checksLeft: maxChecksPerSecond.trusted,
    filledAtMs: 0,
    counters: { checks: 0, disagreements: 0 },
  };
}
