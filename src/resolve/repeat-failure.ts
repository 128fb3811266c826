/*
 * Step: what upstream failed to answer a moment ago is not asked again yet (RFC 9520 §3.2); and what has a stale answer only as far as the
 * budget for asking again has room.
 */
import type { FailureMemory } from "../cache/failure-memory.ts";
import type { Clock } from "../runtime/clock.ts";
import { ExtendedError } from "../wire/codes.ts";
import type { RecheckBudget } from "./recheck-budget.ts";
import type { StaleAnswers } from "./stale-answers.ts";
import type { Step } from "./step.ts";

/** What the step needs. */
export interface FailureStepParts {
  readonly failures: FailureMemory;
  readonly stale: StaleAnswers;
  readonly rechecks: RecheckBudget;
  readonly clock: Clock;
  readonly counters: { cachedFailures: number; delayedRechecks: number };
  /** Whether a question is on its way: another one waits along, and needs no budget. */
  isOnItsWay(key: string): boolean;
}

/** Creates the step. */
export function createFailureStep(parts: FailureStepParts): Step {
  const { failures, stale, rechecks, clock, counters, isOnItsWay } = parts;
  return {
    act({ question, key }) {
      const nowMs = clock.nowMs();
      const failure = failures.find(key, nowMs);
      if (failure !== undefined) {
        counters.cachedFailures += 1;
        const extendedError = ExtendedError.cachedError;
        return stale.find(question) ?? { kind: "error", rcode: failure.rcode, extendedError };
      }
      if (!failures.hasFailed(key) || isOnItsWay(key)) return undefined;
      const staleAnswer = stale.find(question);
      if (staleAnswer === undefined || rechecks.take(nowMs)) return undefined;
      counters.delayedRechecks += 1;
      return staleAnswer;
    },
    foresee({ question, key }, assumed) {
      const nowMs = clock.nowMs();
      if (failures.peek(key, nowMs) !== undefined) return { kind: "failed", hasStale: stale.has(question) };
      if (!failures.hasFailed(key) || assumed.has(key) || !stale.has(question)) return undefined;
      if (!rechecks.hasRoom(nowMs, assumed.recheckCount())) return { kind: "failed", hasStale: true };
      assumed.addRecheck();
      return undefined;
    },
  };
}
