/*
 * The expired answer that is better than none (RFC 8767): when it may be given, and in what form.
 */
import type { AnswerCache } from "../cache/answer-cache.ts";
import type { Clock } from "../runtime/clock.ts";
import { ExtendedError } from "../wire/codes.ts";
import type { Question } from "../wire/question.ts";
import type { Answer } from "./answer.ts";

/** The TTL of a stale answer, and how long stale answers are given before upstream is asked again (RFC 8767 §4, §5). */
export const staleTtlSeconds = 30;

/** Looks for stale answers. */
export interface StaleAnswers {
  /** Whether `find` would return an answer. */
  has(question: Question): boolean;
  /** The stale answer to `question`, or undefined. Never without RD, which says that the client does not want it (RFC 8767 §5). */
  find(question: Question): Answer | undefined;
  /**
   * The answer to come, or the stale one if the fresh one fails, is shed, or takes longer than `staleAfterMs`. A late answer still goes
   * into the cache. Never rejects if `fresh` never does.
   */
  preferFresh(question: Question, fresh: Promise<Answer>): Promise<Answer>;
}

/** Creates a look into this cache. `limits` may change while queries run. */
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
