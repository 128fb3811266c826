/*
 * Step: a question that upstream failed to answer a moment ago is not asked again yet (RFC 9520 §3.2).
 */
import type { FailureMemory } from "../cache/failure-memory.ts";
import type { Clock } from "../runtime/clock.ts";
import { ExtendedError } from "../wire/codes.ts";
import type { StaleAnswers } from "./stale-answers.ts";
import type { Step } from "./step.ts";

/** Creates the step. */
export function createFailureStep(
  failures: FailureMemory,
  stale: StaleAnswers,
  clock: Clock,
  counters: { cachedFailures: number },
): Step {
  return {
    act({ question, key }) {
      const failure = failures.find(key, clock.nowMs());
      if (failure === undefined) return undefined;
      counters.cachedFailures += 1;
      const extendedError = ExtendedError.cachedError;
      return stale.find(question) ?? { kind: "error", rcode: failure.rcode, extendedError };
    },
    foresee({ question, key }) {
      const failure = failures.peek(key, clock.nowMs());
      return failure === undefined ? undefined : { kind: "failed", hasStale: stale.has(question) };
    },
  };
}
