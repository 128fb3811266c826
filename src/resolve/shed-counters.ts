/*
 * How many questions, and clients who would have waited for one, were let go: by route, by for whom they were asked, and why.
 */
import { type ShedReason, shedReasons } from "./answer.ts";
import { type QuestionClass, questionClasses } from "./question-class.ts";

/** Counts of one route. */
export type ShedCounts = Record<QuestionClass, Record<ShedReason, number>>;

/** Plain numbers by route; a route is there once something of it was let go. */
export type ShedCounters = Map<string, ShedCounts>;

/** Counts one. */
export function noteShed(counters: ShedCounters, route: string, of: QuestionClass, reason: ShedReason): void {
  const counts = counters.get(route) ?? createShedCounts();
  counts[of][reason] += 1;
  counters.set(route, counts);
}

function createShedCounts(): ShedCounts {
  const byReason = () => Object.fromEntries(shedReasons.map((reason) => [reason, 0])) as Record<ShedReason, number>;
  return Object.fromEntries(questionClasses.map((name) => [name, byReason()])) as ShedCounts;
}
