/*
 * Step: under a search suffix the second of A and AAAA waits for the first: NXDOMAIN serves both, and anything else costs the second
 * no more than that wait. It is short, because a client needs both answers.
 */
import { isAddressType } from "../cache/entry.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Absences } from "../search/absences.ts";
import type { SearchScope } from "../search/search-scope.ts";
import { RrType } from "../wire/codes.ts";
import { type Question, questionKey } from "../wire/question.ts";
import type { Known } from "./answer-from-known.ts";
import type { QuestionFlights } from "./question-flights.ts";
import type { SharedQuestions } from "./share-in-flight.ts";
import type { Step } from "./step.ts";

/** What the step needs. */
export interface SiblingStepParts {
  readonly shared: SharedQuestions;
  readonly flights: QuestionFlights;
  readonly known: Known;
  readonly absences: Pick<Absences, "isOn">;
  readonly scope: SearchScope;
  readonly clock: Clock;
}

/** How long one address type waits for the other before it is asked itself. */
const siblingPatienceMs = 250;

/** Creates the step. */
export function createSiblingStep(parts: SiblingStepParts): Step {
  const { shared, flights, known, clock } = parts;

  /** The question for the other address type, where one denial serves both. */
  function siblingOf(question: Question): Question | undefined {
    if (!isAddressType(question.type) || !parts.absences.isOn("deniedName", clock.nowMs())) return undefined;
    if (!parts.scope(question.name)) return undefined;
    return { ...question, type: question.type === RrType.A ? RrType.AAAA : RrType.A };
  }

  return {
    act(asked) {
      const { query, question } = asked;
      const sibling = siblingOf(question);
      const flight = sibling && shared.find(questionKey(sibling));
      if (flight === undefined) return undefined;
      return flights.lead(asked, async () => {
        await Promise.race([flight.settled, clock.pause(siblingPatienceMs)]);
        return known.answer(query, clock.nowMs()) ?? flights.askUpstream(question);
      });
    },
    foresee(asked, assumed) {
      const sibling = siblingOf(asked.question);
      if (sibling === undefined || !assumed.has(questionKey(sibling))) return undefined;
      const forType = sibling.type === RrType.A ? "A" : "AAAA";
      return flights.foreseeLead(asked, assumed) ?? { kind: "waits", forType };
    },
  };
}
