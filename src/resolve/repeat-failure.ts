/*
 * Step: what upstream failed to answer a moment ago is not asked again yet (RFC 9520 §3.2); what has a stale answer only as far as the budget
 * for asking again has room. While upstream says nothing to anybody, or none of its servers can be reached, no client waits for it that
 * has a stale answer: the questions and connections that were in vain a moment ago are the attempt that comes first (RFC 8767 §5).
 */
import type { FailureMemory } from "../cache/failure-memory.ts";
import type { Clock } from "../runtime/clock.ts";
import { ExtendedError, Rcode } from "../wire/codes.ts";
import type { Question } from "../wire/question.ts";
import type { Answer } from "./answer.ts";
import type { QuestionFlights } from "./question-flights.ts";
import type { RecheckBudget } from "./recheck-budget.ts";
import type { StaleAnswers } from "./stale-answers.ts";
import type { Asked, AssumedFlights, Foresight, RouteTaken, Step } from "./step.ts";

/** What the step needs. */
export interface FailureStepParts {
  readonly failures: FailureMemory;
  readonly stale: StaleAnswers;
  readonly flights: Pick<QuestionFlights, "flightOf">;
  readonly clock: Clock;
  readonly counters: { cachedFailures: number; delayedRechecks: number };
  /** The budget of a route, by its name. */
  rechecks(route: string): RecheckBudget;
  routeOf(name: Uint8Array): RouteTaken;
  /** Whether no server that knows the name answers at present, as far as is known. */
  isAway(name: Uint8Array): boolean;
  /** Whether a question is on its way: another one waits along, and needs no budget. */
  isOnItsWay(question: Question): boolean;
}

/** Creates the step. */
export function createFailureStep(parts: FailureStepParts): Step {
  const { failures, stale, flights, rechecks, clock, counters, isOnItsWay } = parts;

  const isAway = ({ question }: Asked, budget: RecheckBudget) => budget.isAway() || parts.isAway(question.name);

  function answerWhileAway({ question, key }: Asked, budget: RecheckBudget): Answer | undefined {
    const staleAnswer = stale.find(question);
    if (staleAnswer === undefined) return undefined;
    if (isOnItsWay(question)) return staleAnswer;
    const nowMs = clock.nowMs();
    if (budget.take(nowMs, true)) {
      flights.flightOf(question, key, { class: "prefetch", client: "" });
    } else {
      failures.noteUnasked(key, Rcode.SERVFAIL, nowMs);
      counters.delayedRechecks += 1;
    }
    return staleAnswer;
  }

  function foreseeWhileAway(
    { question }: Asked,
    assumed: AssumedFlights,
    route: string,
    budget: RecheckBudget,
  ): Foresight | undefined {
    const verdict = stale.verdict(question);
    if (verdict === undefined) return undefined;
    const again = !assumed.has(question) && budget.hasRoom(clock.nowMs(), assumed.recheckCount(route), true);
    if (again) {
      assumed.addRecheck(route);
      assumed.add(question);
    }
    return { kind: "awayUpstream", stale: verdict, again };
  }

  return {
    act(asked) {
      const { question, key } = asked;
      const nowMs = clock.nowMs();
      const failure = failures.find(key, nowMs);
      if (failure !== undefined) {
        counters.cachedFailures += 1;
        const extendedError = ExtendedError.cachedError;
        return stale.find(question) ?? { kind: "error", rcode: failure.rcode, extendedError };
      }
      const budget = rechecks(parts.routeOf(question.name).route);
      if (isAway(asked, budget)) return answerWhileAway(asked, budget);
      if (!failures.hasFailed(key) || isOnItsWay(question)) return undefined;
      const staleAnswer = stale.find(question);
      if (staleAnswer === undefined || budget.take(nowMs)) return undefined;
      counters.delayedRechecks += 1;
      return staleAnswer;
    },
    foresee(asked, assumed) {
      const { question, key } = asked;
      const nowMs = clock.nowMs();
      if (failures.peek(key, nowMs) !== undefined) return { kind: "failed", stale: stale.verdict(question) };
      const { route } = parts.routeOf(question.name);
      const budget = rechecks(route);
      if (isAway(asked, budget)) return foreseeWhileAway(asked, assumed, route, budget);
      if (!failures.hasFailed(key) || assumed.has(question)) return undefined;
      const verdict = stale.verdict(question);
      if (verdict === undefined) return undefined;
      if (!budget.hasRoom(nowMs, assumed.recheckCount(route))) return { kind: "failed", stale: verdict };
      assumed.addRecheck(route);
      return undefined;
    },
  };
}
