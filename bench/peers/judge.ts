/*
 * From the rounds of a row to what is said of them.
 */
import { middleOf } from "../hot/compare-rounds.ts";
import type { Measure, RowResult } from "./results.ts";
import type { Goal } from "./rows.ts";

/** What came of a goal. */
export interface Verdict {
  readonly goal: Goal;
  /** The measure itself or, where the goal is a share of another, the ratio. */
  readonly value: number;
  readonly isMet: boolean;
}

/** The middle of all rounds; undefined where the series or the measure is not there. */
export function middle(result: RowResult | undefined, series: string, measure: Measure): number | undefined {
  const values = valuesOf(result, series, measure);
  return values.length === 0 ? undefined : middleOf(values).median;
}

/** One series beside another: the middle of the ratios of rounds that ran one after the other. */
export function ratio(result: RowResult, series: string, of: string, measure: Measure): number | undefined {
  const [values, others] = [valuesOf(result, series, measure), valuesOf(result, of, measure)];
  if (values.length === 0 || values.length !== others.length) return undefined;
  return middleOf(values.map((value, round) => value / (others[round] as number))).median;
}

/** Judges one goal; undefined where it was not measured. */
export function judge(goal: Goal, name: string, results: Readonly<Record<string, RowResult>>): Verdict | undefined {
  const own = results[name];
  if (own === undefined) return undefined;
  const value = valueOf(goal, own, goal.ofRow === undefined ? own : results[goal.ofRow]);
  // What is shown has two digits, and is judged by them.
  return value === undefined ? undefined : { goal, value, isMet: Number(value.toFixed(2)) <= goal.most };
}

function valueOf(goal: Goal, own: RowResult, other: RowResult | undefined): number | undefined {
  const value = middle(own, goal.series, goal.measure);
  if (goal.of === undefined || value === undefined) return value;
  if (other === own) return ratio(own, goal.series, goal.of, goal.measure);
  const reference = middle(other, goal.of, goal.measure);
  return reference === undefined ? undefined : value / reference;
}

function valuesOf(result: RowResult | undefined, series: string, measure: Measure): number[] {
  return (result?.rounds[series] ?? []).flatMap((round) => round[measure] ?? []);
}
