/*
 * The search rules' self-check: now and then, a name that a rule has denied is asked for upstream all the same, after the client has been
 * answered. A rule that is contradicted is switched off.
 */
import type { Clock } from "../runtime/clock.ts";
import type { Absences } from "../search/absences.ts";
import type { InferringRule } from "../search/rules.ts";
import type { ZoneKnowledge } from "../search/zone-knowledge.ts";
import { Rcode } from "../wire/codes.ts";
import type { ClientQuery } from "../wire/query.ts";
import { type Question, questionOf, withName } from "../wire/question.ts";
import type { Reply } from "../wire/reply.ts";
import type { AskResult } from "./schedule-questions.ts";

/** What a check needs. */
export interface RuleCheckParts {
  readonly clock: Clock;
  readonly knowledge: ZoneKnowledge;
  readonly absences: Absences;
  /** Asks upstream. Never rejects. */
  ask(question: Question): Promise<AskResult>;
  /** Stores what upstream said. */
  keep(question: Question, reply: Reply): void;
  /** Upstream contradicted a rule, for this question: the rule is off for a while. */
  onRuleOff(rule: InferringRule, question: Question): void;
}

/**
 * Asks upstream for a name that `rule` has denied. `query` is the caller's own copy, and is kept until the check is done. The rule of absent
 * parents counts as contradicted only if the parent is still denied when asked for again: a Service or namespace that has just been created
 * contradicts nothing. Never rejects; a failure counts neither way.
 */
export async function checkRule(rule: InferringRule, query: ClientQuery, parts: RuleCheckParts): Promise<void> {
  const question = questionOf(query);
  const reply = await verdictOf(question, parts);
  if (reply === undefined) return;
  const hasAgreed = reply.rcode === Rcode.NXDOMAIN;
  if (!hasAgreed) parts.keep(question, reply);
  if (!hasAgreed && rule === "absentParent" && !(await isContradicted(query, question, parts))) return;
  if (parts.knowledge.noteCheck(rule, hasAgreed, parts.clock.nowMs())) parts.onRuleOff(rule, question);
}

/** Whether a parent is still denied while the name still exists, which rules out lagging servers and Services that come or go. */
async function isContradicted(query: ClientQuery, question: Question, parts: RuleCheckParts): Promise<boolean> {
  if (!(await isParentDenied(query, question, parts))) return false;
  return (await verdictOf(question, parts))?.rcode === Rcode.NOERROR;
}

/** Whether upstream still denies a parent that the rule relies on. What upstream says now is stored. */
async function isParentDenied(query: ClientQuery, question: Question, parts: RuleCheckParts): Promise<boolean> {
  const verdicts = await Promise.all(
    parts.absences.parentsOf(query).map(async (offset) => {
      const parent = withName(question, question.name.subarray(offset), query.name.seed);
      const reply = await verdictOf(parent, parts);
      if (reply !== undefined) parts.keep(parent, reply);
      return reply?.rcode === Rcode.NXDOMAIN;
    }),
  );
  return verdicts.includes(true);
}

/** The reply that says whether the name exists; undefined when the question failed or was shed, which says nothing. */
async function verdictOf(question: Question, { ask }: RuleCheckParts): Promise<Reply | undefined> {
  const result = await ask(question);
  if (!("reply" in result)) return undefined;
  const { rcode } = result.reply;
  return rcode === Rcode.NOERROR || rcode === Rcode.NXDOMAIN ? result.reply : undefined;
}
