/*
 * Step: deny names that a search rule knows to be absent. Bytes and integers; the denial is composed for the client and never stored.
 */
import type { Clock } from "../runtime/clock.ts";
import type { Absence, Absences, SuffixKind } from "../search/absences.ts";
import { forEachInferringRule, type InferringRule } from "../search/rules.ts";
import type { ZoneKnowledge } from "../search/zone-knowledge.ts";
import { type ClientQuery, copyQuery } from "../wire/query.ts";
import type { OutsideNames } from "./outside-names.ts";
import { checkRule, type RuleCheckParts } from "./check-rules.ts";
import type { ForeseeStep, Foresight } from "./step.ts";

/** How many names were denied without asking upstream, by rule and by the suffix that the query probably came with. */
export type DenialCounters = Record<InferringRule, Record<SuffixKind, number>>;

/** What the step needs. */
export interface DenyStepParts {
  readonly absences: Absences;
  readonly knowledge: ZoneKnowledge;
  readonly clock: Clock;
  readonly outsideNames: OutsideNames;
  readonly checks: RuleCheckParts;
  readonly counters: { readonly denials: DenialCounters };
  /** Called when the zone's SOA is getting old: asks for it again. Never rejects. */
  learnZone(): Promise<void>;
}

/** The step, for listeners and for the onlooker, and what later steps need from it. */
export interface DenyStep {
  /** The absence of the query's name by a rule, without asking upstream; undefined if no rule applies. Valid until the next call. */
  deny(query: ClientQuery, nowMs: number): Absence | undefined;
  readonly foresee: ForeseeStep;
  /** The same for a query that `deny` passed over because it might have been answered with its outside name. */
  denyAfterAll(query: ClientQuery, nowMs: number): Absence | undefined;
  foreseeAfterAll(query: ClientQuery, nowMs: number): Foresight | undefined;
  /** Notes that a rule was relied on for this query, and now and then has the rule checked. `query` is copied. */
  noteUse(rule: InferringRule, query: ClientQuery, nowMs: number): void;
}

/** Creates counters that are all 0. */
export function createDenialCounters(): DenialCounters {
  return forEachInferringRule(() => ({ namespace: 0, svc: 0, zone: 0 }));
}

/** Creates the step. */
export function createDenyStep(parts: DenyStepParts): DenyStep {
  const { absences, knowledge, outsideNames, counters } = parts;

  function noteUse(rule: InferringRule, query: ClientQuery, nowMs: number): void {
    if (knowledge.takeCheck(rule, nowMs)) {
      const own = copyQuery(query);
      parts.clock.afterIo(() => void checkRule(rule, own, parts.checks));
    }
    if (knowledge.takeRefresh(nowMs)) parts.clock.afterIo(() => void parts.learnZone());
  }

  function denyAfterAll(query: ClientQuery, nowMs: number): Absence | undefined {
    const absence = absences.find(query, nowMs);
    if (absence === undefined) return undefined;
    counters.denials[absence.rule][absence.suffix] += 1;
    noteUse(absence.rule, query, nowMs);
    return absence;
  }

  function foreseeAfterAll(query: ClientQuery, nowMs: number): Foresight | undefined {
    const absence = absences.find(query, nowMs);
    return absence === undefined ? undefined : { kind: "denied", rule: absence.rule, ttlSeconds: absence.ttlSeconds };
  }

  return {
    deny: (query, nowMs) => (outsideNames.mayAnswer() ? undefined : denyAfterAll(query, nowMs)),
    foresee: ({ query }) => (outsideNames.mayAnswer() ? undefined : foreseeAfterAll(query, parts.clock.nowMs())),
    denyAfterAll,
    foreseeAfterAll,
    noteUse,
  };
}
