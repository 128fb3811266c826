/*
 * Step: ask upstream. The last step, because it costs a flow, a server and time.
 */
import type { QuestionFlights } from "./question-flights.ts";
import type { RouteTaken, Step } from "./step.ts";

/** Creates the step, which always has an answer, though it may be that the question is shed. */
export function createUpstreamStep(flights: QuestionFlights, routeOf: (name: Uint8Array) => RouteTaken): Step {
  return {
    act: (asked, tell) => flights.setInFlight(asked, tell, (tellFresh) => flights.askUpstream(asked, tellFresh)),
    foresee(asked, assumed) {
      const shed = flights.foreseeSetInFlight(asked, assumed);
      if (shed !== undefined) return shed;
      const taken = routeOf(asked.question.name);
      assumed.takePlaceOn(taken.route, "added");
      return { kind: "forwarded", ...taken };
    },
  };
}
