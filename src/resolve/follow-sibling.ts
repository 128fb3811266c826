/*
 * Step: under a search suffix whose zone denies names the second of A and AAAA waits for the first, and other host types wait for
 * either: NXDOMAIN serves all, and anything else costs no more than that wait. It is short, because a client needs all answers.
 */
import type { Clock } from "../runtime/clock.ts";
import type { Absences } from "../search/absences.ts";
import type { NameDenials } from "../search/name-denials.ts";
import { isHostType, RrType } from "../wire/codes.ts";
import { type Question, questionKey } from "../wire/question.ts";
import type { Known } from "./answer-from-known.ts";
import type { QuestionFlights } from "./question-flights.ts";
import type { InFlight, SharedQuestions, Tell } from "./share-in-flight.ts";
import type { Asked, Step } from "./step.ts";

/** What the step needs. */
export interface SiblingStepParts {
  readonly shared: SharedQuestions;
  readonly flights: QuestionFlights;
  readonly known: Known;
  readonly absences: Pick<Absences, "isOn">;
  readonly nameDenials: Pick<NameDenials, "areShownFor">;
  readonly clock: Clock;
}

/** How long a question waits for another type of its name before it is asked itself. */
const siblingPatienceMs = 250;

/** Creates the step. */
export function createSiblingStep(parts: SiblingStepParts): Step {
  const { shared, flights, known, clock } = parts;

  /** The question for another address type that is already in flight, if one denial answers both. */
  function siblingOf(question: Question, isOnItsWay: (key: string) => boolean): Question | undefined {
    if (!isHostType(question.type) || !parts.absences.isOn("deniedName", clock.nowMs())) return undefined;
    if (!parts.nameDenials.areShownFor(question.name)) return undefined;
    return [RrType.A, RrType.AAAA]
      .filter((type) => type !== question.type)
      .map((type) => ({ ...question, type }))
      .find((sibling) => isOnItsWay(questionKey(sibling)));
  }

  async function answerAfter(flight: InFlight, asked: Asked, tell: Tell): Promise<void> {
    await Promise.race([shared.ended(flight), clock.pause(siblingPatienceMs)]);
    const answer = known.answer(asked.query, clock.nowMs());
    if (answer === undefined) flights.askUpstream(asked, tell);
    else tell(answer);
  }

  return {
    act(asked, tell) {
      const { question } = asked;
      const sibling = siblingOf(question, (key) => shared.find(key) !== undefined);
      const flight = sibling && shared.find(questionKey(sibling));
      if (flight === undefined) return undefined;
      return flights.setInFlight(asked, tell, (tellFresh) => void answerAfter(flight, asked, tellFresh));
    },
    foresee(asked, assumed) {
      const sibling = siblingOf(asked.question, assumed.has);
      if (sibling === undefined) return undefined;
      const forType = sibling.type === RrType.A ? "A" : "AAAA";
      return flights.foreseeSetInFlight(asked, assumed) ?? { kind: "waits", forType };
    },
  };
}
