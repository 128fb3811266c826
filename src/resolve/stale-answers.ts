/*
 * The expired answer that is better than none (RFC 8767): when it may be given, and how it is told to a client.
 */
import type { AnswerCache } from "../cache/answer-cache.ts";
import type { Clock } from "../runtime/clock.ts";
import { ExtendedError } from "../wire/codes.ts";
import type { Question } from "../wire/question.ts";
import type { Answer } from "./answer.ts";

/** TTL of a stale answer, and how long it is given before upstream is asked again (RFC 8767 §4, §5). */
export const staleTtlSeconds = 30;

/** Looks for stale answers. */
export interface StaleAnswers {
  has(question: Question): boolean;
  /** The stale answer to `question`, or undefined. Never without RD: the client wants only what is here (RFC 8767 §5). */
  find(question: Question): Answer | undefined;
  /**
   * The answer to come, or the stale one when that fails, is let go, or takes longer than `staleAfterMs`. What comes later fills the cache all
   * the same. Never rejects if `fresh` never does.
   */
  preferFresh(question: Question, fresh: Promise<Answer>): Promise<Answer>;
}

/** Looks into this cache. `limits` may change while queries run. */
export function createStaleAnswers(
  cache: Pick<AnswerCache, "findStale">,
  clock: Clock,
  limits: { readonly staleAfterMs: number },
): StaleAnswers {
  function find(question: Question): Answer | undefined {
    const entry = question.recursionDesired ? cache.findStale(question, clock.nowMs()) : undefined;
    if (entry === undefined) return undefined;
    const extendedError = ExtendedError.staleAnswer;
    return { kind: "message", entry, fixedTtlSeconds: staleTtlSeconds, extendedError, source: "stale" };
  }

  function has(question: Question): boolean {
    return question.recursionDesired && cache.findStale(question, clock.nowMs()) !== undefined;
  }

  return {
    has,
    find,
    preferFresh(question, fresh) {
      if (!has(question)) return fresh;
      return new Promise((resolveWith) => {
        const cancel = clock.after(limits.staleAfterMs, () => {
          const stale = find(question);
          if (stale !== undefined) resolveWith(stale);
        });
        void fresh.then((answer) => {
          cancel();
          const isNone = answer.kind === "error" || answer.kind === "dropped";
          resolveWith(isNone ? (find(question) ?? answer) : answer);
        });
      });
    },
  };
}
