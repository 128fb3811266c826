/*
 * How many questions, and clients that would have waited for one, were shed: by route, by question class, and by reason.
 */
import { type ShedReason, shedReasons } from "./answer.ts";
import { type QuestionClass, questionClasses } from "./question-class.ts";

/** The counts of one route. */
export type ShedCounts = Record<QuestionClass, Record<ShedReason, number>>;

/** Plain numbers by route. A route has an entry once something of it has been shed. */
export type ShedCounters = Map<string, ShedCounts>;

/** Counts one question or client that was shed. */
export function noteShed(counters: ShedCounters, route: string, of: QuestionClass, reason: ShedReason): void {
  const counts = counters.get(route) ?? createShedCounts();
  counts[of][reason] += 1;
  counters.set(route, counts);
}

function createShedCounts(): ShedCounts {
  const byReason = () => Object.fromEntries(shedReasons.map((reason) => [reason, 0])) as Record<ShedReason, number>;
  return Object.fromEntries(questionClasses.map((name) => [name, byReason()])) as ShedCounts;
}
