/*
 * Step, off by default: server-side search. A suffix query is answered with the outside name that was meant, as a CNAME with its
 * records, so that the client needs one round trip instead of five. This is done only when it changes nothing but the time taken:
 *
 *   - every step of the search list before the outside name is known to be absent, never by a guess;
 *   - A and AAAA of the outside name are both known, and neither is denied: one type is never answered without the other.
 */
import type { AnswerCache } from "../cache/answer-cache.ts";
import { ageSecondsOf, type CacheEntry, createEntry, rcodeOf } from "../cache/entry.ts";
import { addressTypes } from "../cache/key.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Absences } from "../search/absences.ts";
import type { InferringRule } from "../search/rules.ts";
import { ExtendedError, isAddressType, otherAddressType, Rcode } from "../wire/codes.ts";
import { composeAlias } from "../wire/alias-reply.ts";
import { hashName } from "../wire/name.ts";
import { nameToText } from "../wire/name-text.ts";
import type { ClientQuery } from "../wire/query.ts";
import { type Question, withName } from "../wire/question.ts";
import { parseReply } from "../wire/reply.ts";
import { messageOf, takeTurn } from "../wire/stored-message.ts";
import type { Answer } from "./answer.ts";
import type { Known } from "./answer-from-known.ts";
import type { DenyStep } from "./deny-absent-name.ts";
import type { OutsideNames } from "./outside-names.ts";
import type { QuestionFlights } from "./question-flights.ts";
import type { Tell } from "./share-in-flight.ts";
import type { Asked, Step } from "./step.ts";

/** The names that a client asks for after a suffixed one; undefined for a name without the first suffix (search/outside-name). */
export type LaterSteps = (
  name: Uint8Array,
) => { readonly suffixed: readonly Uint8Array[]; readonly outside: Uint8Array } | undefined;

/** What the step needs. */
export interface OutsideNameParts {
  readonly cache: AnswerCache;
  readonly absences: Absences;
  readonly laterSteps: LaterSteps;
  readonly outsideNames: OutsideNames;
  readonly flights: QuestionFlights;
  readonly known: Known;
  readonly denyStep: Pick<DenyStep, "noteUse">;
  readonly clock: Clock;
  readonly counters: { outsideAnswers: number };
}

/** Creates the step. */
export function createOutsideNameStep(parts: OutsideNameParts): Step {
  const { cache, outsideNames, flights, known, clock, counters } = parts;

  async function answerOutside(asked: Asked, outside: Question, tell: Tell): Promise<void> {
    const found = await answerWithOutside(asked, outside, flights, clock);
    if (found !== undefined) counters.outsideAnswers += 1;
    const answer = found ?? known.answer(asked.query, clock.nowMs());
    if (answer === undefined) flights.askUpstream(asked, tell);
    else tell(answer);
  }

  return {
    act(asked, tell) {
      if (!outsideNames.mayAnswer()) return undefined;
      const nowMs = clock.nowMs();
      const found = findOutside(asked, parts, cache.match, nowMs);
      // The answer that earlier steps passed over for this one. A client that may not wait gets the denial as usual.
      if (found === undefined || flights.boundAgainst(asked) !== undefined) return known.answer(asked.query, nowMs);
      // The client will not ask for the later steps, so their rules are noted as used here.
      for (const { rule, step } of found.reliedOn) parts.denyStep.noteUse(rule, step, nowMs);
      return flights.setInFlight(asked, tell, (tellFresh) => void answerOutside(asked, found.outside, tellFresh));
    },
    foresee(asked, assumed) {
      if (!outsideNames.mayAnswer()) return undefined;
      const nowMs = clock.nowMs();
      const found = findOutside(asked, parts, cache.peek, nowMs);
      if (found === undefined || flights.foreseeSetInFlight(asked, assumed) !== undefined)
        return known.foresee(asked.query, nowMs);
      const { outside } = found;
      for (const type of [outside.type, otherAddressType(outside.type)])
        flights.foreseeFor(asked.client, { ...outside, type }, assumed);
      const isCached = cache.findQuestion(outside, nowMs) !== undefined;
      return { kind: "outsideName", outside: nameToText(outside.name), isCached };
    },
  };
}

interface FoundOutside {
  /** The question for the outside name. */
  readonly outside: Question;
  /** The rules by which steps are absent. */
  readonly reliedOn: readonly { readonly rule: InferringRule; readonly step: ClientQuery }[];
}

/** The outside name that a query may be answered with, or undefined. */
function findOutside(
  { query, question }: Asked,
  parts: OutsideNameParts,
  look: AnswerCache["match"],
  nowMs: number,
): FoundOutside | undefined {
  // Validating clients could do nothing with an unsigned CNAME. Without RD, the client wants only what is known here.
  if (!isAddressType(question.type) || question.dnssecOk || !question.recursionDesired) return undefined;
  const steps = parts.laterSteps(question.name);
  if (steps === undefined) return undefined;
  const reliedOn: { rule: InferringRule; step: ClientQuery }[] = [];
  for (const name of [question.name, ...steps.suffixed]) {
    const step = queryForName(query, name);
    const evidence = evidenceOfAbsence(step, look(step, nowMs), parts.absences, nowMs);
    if (evidence === undefined) return undefined;
    if (evidence !== "reply") reliedOn.push({ rule: evidence, step });
  }
  return { outside: withName(question, steps.outside, query.name.seed), reliedOn };
}

/** Answers `question` with the records of `outside`. Undefined unless both address types exist and at least one has data. */
async function answerWithOutside(
  { question, client }: Asked,
  outside: Question,
  flights: QuestionFlights,
  clock: Clock,
): Promise<Answer | undefined> {
  const [own, other] = await Promise.all([
    flights.answerFor(client, outside),
    flights.answerFor(client, { ...outside, type: otherAddressType(outside.type) }),
  ]);
  if (!exists(own) || !exists(other) || (!hasData(own) && !hasData(other))) return undefined;
  const { entry } = own;
  const target = parseReply(messageOf(entry));
  if (typeof target === "number") return undefined;
  const packet = composeAlias(question, target, ageSecondsOf(entry, clock.nowMs()));
  const reply = packet === undefined ? undefined : parseReply(packet);
  if (reply === undefined || typeof reply === "number") return undefined;
  // Not kept: its parts are in the cache, and a Service that would come first may appear at any time.
  const alias = createEntry(question, reply, { kind: "answer", ttlSeconds: 0 }, maxTtlSeconds, false, clock.nowMs());
  // The alias is new each time, so the addresses take the turns of the entry that it is made from.
  if (alias.addressCount > 0) alias.turn = takeTurn(entry);
  return { kind: "message", entry: alias, fixedTtlSeconds: 0, extendedError: ExtendedError.none, source: "upstream" };
}

/** No cap: the TTLs were lowered when the alias was composed. */
const maxTtlSeconds = 0xffff_ffff;

type Message = Extract<Answer, { kind: "message" }>;

function hasData({ entry }: Message): boolean {
  return entry.kind === "answer";
}

function exists(answer: Answer): answer is Message {
  if (answer.kind !== "message") return false;
  return rcodeOf(answer.entry) === Rcode.NOERROR;
}

/**
 * The evidence that the name is absent for A and AAAA alike, or undefined: a denial that holds for one type only, such as one at the end
 * of a CNAME, says nothing about the other.
 */
function evidenceOfAbsence(
  query: ClientQuery,
  entry: CacheEntry | undefined,
  absences: Absences,
  nowMs: number,
): InferringRule | "reply" | undefined {
  if (entry === undefined) return absences.find(query, nowMs)?.rule;
  return entry.type === addressTypes ? "reply" : undefined;
}

/** The same query for another folded name. */
function queryForName(query: ClientQuery, name: Uint8Array): ClientQuery {
  const hash = hashName(name, 0, name.length, query.name.seed);
  return { ...query, name: { ...query.name, octets: name, sizeBytes: name.length, hash } };
}
