/*
 * Step: nothing is forwarded while the upstream leads back here, and our own loop probe ends where it comes in.
 */
import { ExtendedError, Rcode } from "../wire/codes.ts";
import type { LoopGuard } from "./loop-guard.ts";
import type { StaleAnswers } from "./stale-answers.ts";
import type { Step } from "./step.ts";

/** Creates the step. */
export function createLoopStep(loopGuard: LoopGuard, stale: StaleAnswers): Step {
  return {
    act({ question }) {
      if (loopGuard.isOwnProbe(question)) return { kind: "dropped", reason: "loop" };
      if (!loopGuard.isLooping()) return undefined;
      const extendedError = ExtendedError.noReachableAuthority;
      return stale.find(question) ?? { kind: "error", rcode: Rcode.SERVFAIL, extendedError };
    },
    foresee({ question }) {
      return loopGuard.isLooping() ? { kind: "looping", hasStale: stale.has(question) } : undefined;
    },
  };
}
