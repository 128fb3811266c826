/*
 * Step: forward nothing while the upstream leads back to nodens. The loop probe that reveals this ends where it arrives.
 */
import { ExtendedError, Rcode } from "../wire/codes.ts";
import type { ClientQuery } from "../wire/query.ts";
import { questionOf } from "../wire/question.ts";
import type { LoopGuard } from "./loop-guard.ts";
import type { StaleAnswers } from "./stale-answers.ts";
import type { Step } from "./step.ts";

/** The step, and what listeners ask of it before any other. */
export interface LoopStep extends Step {
  /** Whether the query is nodens's own probe come back, which is then noted. It gets no reply, since no client has sent it. */
  takesProbe(query: ClientQuery): boolean;
}

/** Creates the step. */
export function createLoopStep(loopGuard: LoopGuard, stale: StaleAnswers): LoopStep {
  return {
    takesProbe: (query) => loopGuard.isOwnProbe(questionOf(query)),
    act({ question }) {
      if (!loopGuard.isLooping()) return undefined;
      const extendedError = ExtendedError.noReachableAuthority;
      return stale.find(question) ?? { kind: "error", rcode: Rcode.SERVFAIL, extendedError };
    },
    foresee({ question }) {
      return loopGuard.isLooping() ? { kind: "looping", stale: stale.verdict(question) } : undefined;
    },
  };
}
