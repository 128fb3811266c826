/*
 * Step: under a search suffix whose zone denies names the second of A and AAAA waits for the first, and other host types wait for
 * either: NXDOMAIN serves all, and anything else costs no more than that wait. It is short, because a client needs all answers.
 */
import type { Clock } from "../runtime/clock.ts";
import type { Absences } from "../search/absences.ts";
import type { NameDenials } from "../search/name-denials.ts";
import { isHostType, RrType } from "../wire/codes.ts";
import type { Question } from "../wire/question.ts";
import type { Answer } from "./answer.ts";
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

const siblingTypes = [RrType.A, RrType.AAAA] as const;

/** Creates the step. */
export function createSiblingStep(parts: SiblingStepParts): Step {
  const { shared, flights, known, clock } = parts;

  /** Whether one denial answers the question and the one for another address type. */
  function isAnsweredTogether({ type, name }: Question): boolean {
    return isHostType(type) && parts.absences.isOn("deniedName", clock.nowMs()) && parts.nameDenials.areShownFor(name);
  }

  /** The flight of the question for another address type. */
  function siblingOf(question: Question): InFlight | undefined {
    for (const type of siblingTypes) {
      const flight = type === question.type ? undefined : shared.find(question, type);
      if (flight !== undefined) return flight;
    }
    return undefined;
  }

  function follow(flight: InFlight, asked: Asked, tell: Tell): Answer | "later" {
    return flights.setInFlight(asked, tell, (tellFresh) => void answerAfter(flight, asked, tellFresh));
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
      const flight = isAnsweredTogether(question) ? siblingOf(question) : undefined;
      return flight && follow(flight, asked, tell);
    },
    foresee(asked, assumed) {
      const { question } = asked;
      if (!isAnsweredTogether(question)) return undefined;
      const sibling = siblingTypes.find((type) => type !== question.type && assumed.has({ ...question, type }));
      if (sibling === undefined) return undefined;
      const forType = sibling === RrType.A ? "A" : "AAAA";
      return flights.foreseeSetInFlight(asked, assumed) ?? { kind: "waits", forType };
    },
  };
}
