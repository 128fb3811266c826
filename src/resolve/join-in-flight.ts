/*
 * Step: one upstream question for all clients that ask it at the same time.
 */
import type { QuestionFlights } from "./question-flights.ts";
import type { SharedQuestions } from "./share-in-flight.ts";
import type { StaleAnswers } from "./stale-answers.ts";
import type { RouteTaken, Step } from "./step.ts";

/** Creates the step. */
export function createJoinStep(
  shared: SharedQuestions,
  flights: QuestionFlights,
  stale: StaleAnswers,
  counters: { coalesced: number },
  routeOf: (name: Uint8Array) => RouteTaken,
): Step {
  return {
    act(asked, tell) {
      const flight = shared.find(asked.question);
      if (flight === undefined) return undefined;
      const answer = flights.join(asked, tell, flight);
      if (answer === "later") counters.coalesced += 1;
      return answer;
    },
    foresee({ question, client }, assumed) {
      if (!assumed.has(question)) return undefined;
      const bound = shared.boundAgainst(client, routeOf(question.name).route);
      if (bound !== undefined) return { kind: "shed", stale: stale.verdict(question) };
      flights.foreseeHaste(question, { class: "client", client }, assumed);
      return { kind: "shared" };
    },
  };
}
