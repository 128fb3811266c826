/*
 * What the cache and the rules know by now: asked again once a wait is over that was to make a question unnecessary.
 */
import type { AnswerCache } from "../cache/answer-cache.ts";
import type { ClientQuery } from "../wire/query.ts";
import type { Answer } from "./answer.ts";
import { describeEntry } from "./answer-from-cache.ts";
import type { DenyStep } from "./deny-absent-name.ts";
import { freshAnswer } from "./keep-reply.ts";
import type { Foresight } from "./step.ts";

/** Both faces of the look. */
export interface Known {
  answer(query: ClientQuery, nowMs: number): Answer | undefined;
  foresee(query: ClientQuery, nowMs: number): Foresight | undefined;
}

/** Looks into this cache, then at the rules. */
export function createKnown(cache: AnswerCache, denyStep: DenyStep): Known {
  return {
    answer(query, nowMs) {
      const entry = cache.match(query, nowMs);
      if (entry !== undefined) return freshAnswer(entry);
      const absence = denyStep.denyAfterAll(query, nowMs);
      return absence && { kind: "denial", soa: absence.soa, ttlSeconds: absence.ttlSeconds };
    },
    foresee(query, nowMs) {
      const entry = cache.peek(query, nowMs);
      return entry === undefined ? denyStep.foreseeAfterAll(query, nowMs) : describeEntry(entry, nowMs);
    },
  };
}
