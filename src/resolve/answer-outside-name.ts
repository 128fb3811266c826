/*
 * Server-side search, off by default: a suffix query is answered with the outside name that it was meant for, as CNAME and records,
 * so that the client needs one round trip instead of five. Only when it changes nothing but the time:
 *
 *   - every step of the search list before the outside name is known to be absent, none of them by a guess;
 *   - A and AAAA of the outside name are both known, and neither is denied: never one type answered and the other not.
 */
import type { AnswerCache } from "../cache/answer-cache.ts";
import { ageSecondsOf, createEntry, isAddressType } from "../cache/entry.ts";
import { addressTypes } from "../cache/key.ts";
import type { Absences } from "../search/absences.ts";
import type { CheckedRule } from "../search/zone-knowledge.ts";
import { ExtendedError, Rcode, RrType } from "../wire/codes.ts";
import { composeAlias } from "../wire/alias-reply.ts";
import { HeaderOffset, rcodeMask } from "../wire/header.ts";
import { hashName } from "../wire/name.ts";
import { readU16 } from "../wire/octets.ts";
import type { ClientQuery } from "../wire/query.ts";
import { type Question, withName } from "../wire/question.ts";
import { parseReply } from "../wire/reply.ts";
import type { Answer } from "./answer.ts";

/** What it takes to answer for the outside. */
export interface OutsideNameParts {
  readonly cache: AnswerCache;
  readonly absences: Absences;
  /** The names a client asks after this one; undefined for a name without the first suffix (see search/outside-name). */
  laterSteps(name: Uint8Array): { readonly suffixed: readonly Uint8Array[]; readonly outside: Uint8Array } | undefined;
  /** The answer to a question, from the cache, from one in flight, or from upstream. */
  obtain(question: Question): Promise<Answer>;
  /** A rule that says a step is absent was relied on, for this query. */
  noteUse(rule: CheckedRule, query: ClientQuery, nowMs: number): void;
}

/**
 * The outside name that `query` may be answered with, or undefined. `question` is the query's own; the result is the question for
 * that name.
 */
export function findOutsideQuestion(
  query: ClientQuery,
  question: Question,
  parts: OutsideNameParts,
  nowMs: number,
): Question | undefined {
  // Signatures of a CNAME that nobody signed would not help; leave validating clients alone. Without RD nobody is asked for more.
  if (!isAddressType(question.type) || question.dnssecOk || !question.recursionDesired) return undefined;
  const steps = parts.laterSteps(question.name);
  if (steps === undefined) return undefined;
  const reliedOn: { rule: CheckedRule; step: ClientQuery }[] = [];
  for (const name of [question.name, ...steps.suffixed]) {
    const step = queryForName(query, name);
    const evidence = evidenceOfAbsence(step, parts, nowMs);
    if (evidence === undefined) return undefined;
    if (evidence !== "reply") reliedOn.push({ rule: evidence, step });
  }
  // The client will not ask the later steps, so nobody else has their rules checked.
  for (const { rule, step } of reliedOn) parts.noteUse(rule, step, nowMs);
  return withName(question, steps.outside, query.name.seed);
}

/** Answers `question` with what `outside` has. Undefined when that is not both address types, or neither is data. */
export async function answerWithOutside(
  question: Question,
  outside: Question,
  parts: OutsideNameParts,
  nowMs: () => number,
): Promise<Answer | undefined> {
  const otherType = outside.type === RrType.A ? RrType.AAAA : RrType.A;
  const [own, other] = await Promise.all([parts.obtain(outside), parts.obtain({ ...outside, type: otherType })]);
  if (!exists(own) || !exists(other) || (!hasData(own) && !hasData(other))) return undefined;
  const { entry } = own;
  const target = parseReply(entry.octets.subarray(0, entry.sizeBytes));
  if (typeof target === "number") return undefined;
  const packet = composeAlias(question, target, ageSecondsOf(entry, nowMs()));
  const reply = packet === undefined ? undefined : parseReply(packet);
  if (reply === undefined || typeof reply === "number") return undefined;
  // Not kept: what it is made of is in the cache, and the Service that would come first may appear at any time.
  const alias = createEntry(question, reply, { kind: "answer", ttlSeconds: 0 }, maxTtlSeconds, false, nowMs());
  return { kind: "message", entry: alias, fixedTtlSeconds: 0, extendedError: ExtendedError.none, source: "upstream" };
}

/** TTLs were lowered when the alias was made; nothing is capped here. */
const maxTtlSeconds = 0xffff_ffff;

type Message = Extract<Answer, { kind: "message" }>;

function hasData({ entry }: Message): boolean {
  return entry.kind === "answer";
}

function exists(answer: Answer): answer is Message {
  if (answer.kind !== "message") return false;
  return (readU16(answer.entry.octets, HeaderOffset.flags) & rcodeMask) === Rcode.NOERROR;
}

/**
 * What says that the name is absent for A and AAAA alike, or undefined: a denial that holds for one type only, such as one behind a
 * CNAME, says nothing about the other.
 */
function evidenceOfAbsence(
  query: ClientQuery,
  parts: OutsideNameParts,
  nowMs: number,
): CheckedRule | "reply" | undefined {
  const entry = parts.cache.match(query, nowMs);
  if (entry === undefined) return parts.absences.find(query, nowMs)?.rule;
  return entry.type === addressTypes ? "reply" : undefined;
}

/** The same query for another folded name. */
function queryForName(query: ClientQuery, name: Uint8Array): ClientQuery {
  const { seed } = query.name;
  return { ...query, name: { octets: name, sizeBytes: name.length, hash: hashName(name, 0, name.length, seed), seed } };
}
