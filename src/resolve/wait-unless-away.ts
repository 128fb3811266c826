/*
 * A client's wait for a question in flight, which ends early, with an error, while no server that knows the name answers.
 */
import type { Clock } from "../runtime/clock.ts";
import { ExtendedError, Rcode } from "../wire/codes.ts";
import type { Question } from "../wire/question.ts";
import type { Answer, ShedReason } from "./answer.ts";
import type { InFlight, SharedQuestions, Tell } from "./share-in-flight.ts";
import type { StaleAnswers } from "./stale-answers.ts";

/** What it needs. */
export interface AwayParts {
  readonly shared: SharedQuestions;
  readonly stale: StaleAnswers;
  readonly clock: Clock;
  /** Whether no server that knows the name answers at present, as far as is known. */
  isAway(name: Uint8Array): boolean;
}

/** A client's wait. `tell` is called once, at once if the answer is known. */
export interface ClientWait {
  readonly question: Question;
  readonly flight: InFlight;
  /** Its address. */
  readonly client: string;
  readonly tell: Tell;
}

/**
 * How long a client waits for a server that is known to be away. What it asks may still be answered then, and is for the client that asks
 * again. Longer than two seconds, and a pod that asks nothing else would be left to the Service that is away (attach/pod-switches).
 */
const awayPatienceMs = 1800;

/** What it is told then. */
const nobodyThere: Answer = {
  kind: "error",
  rcode: Rcode.SERVFAIL,
  extendedError: ExtendedError.noReachableAuthority,
};

/** Has a client wait for the flight's answer, or for an error once that has taken long enough. Returns the bound that it would exceed. */
export function waitUnlessAway(
  { question, flight, client, tell }: ClientWait,
  { shared, stale, clock, isAway }: AwayParts,
): ShedReason | undefined {
  let cancel = () => {};
  const waiter = shared.wait(flight, client, (given) => {
    cancel();
    const isLeftWaiting = given.kind === "dropped" && given.reason === "late" && isAway(question.name);
    tell(isLeftWaiting ? nobodyThere : given);
  });
  if (typeof waiter === "string") return waiter;
  if (flight.answer !== undefined) return undefined;
  cancel = clock.after(awayPatienceMs, () => {
    if (!isAway(question.name) || stale.verdict(question) !== undefined) return;
    shared.leave(waiter);
    tell(nobodyThere);
  });
  return undefined;
}
