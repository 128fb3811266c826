/*
 * What the cache and the rules know by now: consulted again after a wait that was meant to make a question unnecessary.
 */
import type { AnswerCache } from "../cache/answer-cache.ts";
import { ExtendedError } from "../wire/codes.ts";
import type { ClientQuery } from "../wire/query.ts";
import type { Answer } from "./answer.ts";
import { describeEntry } from "./answer-from-cache.ts";
import type { DenyStep } from "./deny-absent-name.ts";
import { freshAnswer } from "./keep-reply.ts";
import type { Foresight } from "./step.ts";

/** What is known about a query by now: the answer, and what an onlooker foresees. Undefined when nothing is. */
export interface Known {
  answer(query: ClientQuery, nowMs: number): Answer | undefined;
  foresee(query: ClientQuery, nowMs: number): Foresight | undefined;
}

/** Creates a look into this cache first, then at the rules. */
export function createKnown(cache: AnswerCache, denyStep: DenyStep): Known {
  return {
    answer(query, nowMs) {
      const entry = cache.match(query, nowMs);
      if (entry !== undefined) return freshAnswer(cache.use(entry));
      const absence = denyStep.denyAfterAll(query, nowMs);
      if (absence === undefined) return undefined;
      const { soa, ttlSeconds } = absence;
      return { kind: "denial", soa, ttlSeconds, extendedError: ExtendedError.none, expiredAtMs: undefined };
    },
    foresee(query, nowMs) {
      const entry = cache.peek(query, nowMs);
      return entry === undefined ? denyStep.foreseeAfterAll(query, nowMs) : describeEntry(entry, nowMs);
    },
  };
}
