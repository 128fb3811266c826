/*
 * Step: nothing is forwarded while the upstream leads back here. Our own loop probe, which tells that, ends where it comes in.
 */
import { ExtendedError, Rcode } from "../wire/codes.ts";
import type { ClientQuery } from "../wire/query.ts";
import { questionOf } from "../wire/question.ts";
import type { LoopGuard } from "./loop-guard.ts";
import type { StaleAnswers } from "./stale-answers.ts";
import type { Step } from "./step.ts";

/** The step, and what listeners ask before it. */
export interface LoopStep extends Step {
  /** Whether the query is our own probe, come back; notes it then. It deserves no reply, and a client did not send it. */
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
      return loopGuard.isLooping() ? { kind: "looping", hasStale: stale.has(question) } : undefined;
    },
  };
}
