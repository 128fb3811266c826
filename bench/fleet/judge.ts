/*
 * The promise: from a second after the trouble is over on, kube-dns is never asked more than twice as often as on a quiet day.
 */
import { settledAtSecond, type Situation } from "./situations.ts";

/** So many times the quiet rate are a peak. */
export const mostTimesQuiet = 2;

/** The most in any second, from a second after it is over on. */
export interface Peak {
  readonly most: number;
  readonly second: number;
  /** In times the quiet rate. */
  readonly ratio: number;
}

/** The mean of the seconds in which nothing happens. */
export function quietMean(numbers: readonly number[], { beginsAtSecond }: Situation): number {
  const quiet = numbers.slice(settledAtSecond, beginsAtSecond);
  return quiet.reduce((sum, number) => sum + number, 0) / quiet.length;
}

/** The peak of what is counted each second. */
export function peakAfter(numbers: readonly number[], situation: Situation): Peak {
  const first = situation.overAtSecond + 1;
  const most = Math.max(...numbers.slice(first));
  return { most, second: numbers.indexOf(most, first), ratio: most / quietMean(numbers, situation) };
}
