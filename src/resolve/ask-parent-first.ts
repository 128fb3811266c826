/*
 * Step: for a name whose parent is probably absent, the parent is asked for first, since a denial of the parent covers this name and many
 * to come. The name itself is asked for only if the parent exists.
 */
import type { FailureMemory } from "../cache/failure-memory.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Absences } from "../search/absences.ts";
import { isAddressType, RrType } from "../wire/codes.ts";
import { nameToText } from "../wire/name-text.ts";
import { type Question, questionKey, withName } from "../wire/question.ts";
import type { Known } from "./answer-from-known.ts";
import type { QuestionFlights } from "./question-flights.ts";
import type { InFlight, SharedQuestions, Tell } from "./share-in-flight.ts";
import type { Asked, RouteTaken, Step } from "./step.ts";

/** What the step needs. */
export interface ParentStepParts {
  readonly absences: Pick<Absences, "parentToAsk">;
  readonly failures: FailureMemory;
  readonly shared: Pick<SharedQuestions, "ended">;
  readonly flights: QuestionFlights;
  readonly known: Known;
  readonly clock: Clock;
  routeOf(name: Uint8Array): RouteTaken;
}

/** How long a name waits for its parent before it is asked for itself. Longer than for the other type: the parent saves far more. */
const parentPatienceMs = 500;

/** Creates the step. */
export function createParentStep(parts: ParentStepParts): Step {
  const { failures, flights, known, clock } = parts;

  /** The question for the parent, unless it failed a moment ago: asking again would only cost the client time. */
  function parentOf({ query, question }: Asked): { readonly parent: Question; readonly key: string } | undefined {
    const nowMs = clock.nowMs();
    const offset = parts.absences.parentToAsk(query, nowMs);
    if (offset === undefined) return undefined;
    // An address type, because a name denied for one of those is denied as a whole.
    const type = isAddressType(question.type) ? question.type : RrType.A;
    const parent = { ...withName(question, question.name.subarray(offset), query.name.seed), type };
    const key = questionKey(parent);
    return failures.peek(key, nowMs) === undefined ? { parent, key } : undefined;
  }

  async function answerAfter(flight: InFlight, asked: Asked, tell: Tell): Promise<void> {
    await Promise.race([parts.shared.ended(flight), clock.pause(parentPatienceMs)]);
    const answer = known.answer(asked.query, clock.nowMs());
    if (answer === undefined) flights.askUpstream(asked, tell);
    else tell(answer);
  }

  return {
    act(asked, tell) {
      const found = parentOf(asked);
      if (found === undefined) return undefined;
      return flights.setInFlight(asked, tell, (tellFresh) => {
        const flight = flights.flightOf(found.parent, found.key, { class: "parent", client: asked.client });
        void answerAfter(flight, asked, tellFresh);
      });
    },
    foresee(asked, assumed) {
      const found = parentOf(asked);
      if (found === undefined) return undefined;
      const shed = flights.foreseeSetInFlight(asked, assumed);
      if (shed !== undefined) return shed;
      const { parent } = found;
      const isOnItsWay = assumed.has(parent);
      const taken = parts.routeOf(parent.name);
      if (isOnItsWay) flights.foreseeHaste(found.parent, { class: "parent", client: asked.client }, assumed);
      else assumed.takePlaceOn(taken.route, "added");
      assumed.add(parent);
      return { kind: "asksParent", parent: nameToText(parent.name), isOnItsWay, ...taken };
    },
  };
}
