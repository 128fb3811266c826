/*
 * Step: the question is asked. The last one, because it costs a flow, a server and time.
 */
import type { QuestionFlights } from "./question-flights.ts";
import type { RouteTaken, Step } from "./step.ts";

/** Creates the step, which always has an answer. */
export function createUpstreamStep(flights: QuestionFlights, routeOf: (name: Uint8Array) => RouteTaken): Step {
  return {
    act: (asked) => flights.lead(asked, () => flights.askUpstream(asked.question)),
    foresee: (asked, assumed) =>
      flights.foreseeLead(asked, assumed) ?? { kind: "forwarded", ...routeOf(asked.question.name) },
  };
}
