/*
 * What came of the situations, as a table.
 */
import { peakAfter, quietMean } from "./judge.ts";
import type { Situation } from "./situations.ts";
import type { Series } from "./traffic.ts";

/** A situation that has been simulated. */
export interface Outcome {
  readonly situation: Situation;
  readonly series: Series;
  /** What the simulation took: seconds, and the most memory that its process had by then. */
  readonly tookSeconds: number;
  readonly memoryMb: number;
}

const columns: readonly (readonly [head: string, cell: (outcome: Outcome) => string])[] = [
  ["situation", ({ situation }) => situation.title],
  ["questions/s", ({ series, situation }) => round(quietMean(series.questions, situation))],
  ["own/s", ({ series, situation }) => round(quietMean(series.ownQuestions, situation))],
  ["peak/s", ({ series, situation }) => round(peakAfter(series.questions, situation).most)],
  ["peak at", ({ series, situation }) => `${peakAfter(series.questions, situation).second} s`],
  ["x quiet", ({ series, situation }) => peakAfter(series.questions, situation).ratio.toFixed(2)],
  ["first second", ({ series, situation }) => firstSecond(series, situation)],
  ["in vain/s", ({ series }) => round(Math.max(...series.vainQuestions))],
  ["TCP", ({ series, situation }) => round(quietMean(series.openConnections, situation))],
  ["UDP", ({ series, situation }) => round(quietMean(series.openSockets, situation))],
  ["most flows", ({ series }) => round(mostFlows(series))],
  ["opened/s", ({ series }) => round(Math.max(...series.openedFlows))],
  ["waiting", ({ series, situation }) => round(Math.max(...series.waitingLookups.slice(situation.beginsAtSecond)))],
  ["stale", ({ series }) => round(sum(series.staleLookups))],
  ["failed", ({ series }) => round(sum(series.failedLookups))],
  ["took", ({ tookSeconds }) => `${round(tookSeconds)} s`],
  ["memory", ({ memoryMb }) => `${round(memoryMb)} MB`],
];

/** The table. */
export function tableOf(outcomes: readonly Outcome[]): string {
  const lines = [columns.map(([head]) => head), ...outcomes.map((outcome) => columns.map(([, cell]) => cell(outcome)))];
  const widths = columns.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  return lines
    .map((line) =>
      line
        .map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
        .join("  "),
    )
    .join("\n");
}

/** What the columns say. */
export const legend = `questions/s   what kube-dns is asked in the quiet time before, nodens's own questions included
own/s         of them, nodens's own
peak/s        the most in one second, from a second after it is over on, when that is, and how many times the quiet rate
first second  the second right after it is over, in times the quiet rate
in vain/s     the most questions in one second that met nobody
TCP, UDP      flows in the quiet time: as many entries in the connection tracking of all nodes together
opened/s      the most flows opened in one second
waiting       the most lookups of pods that waited for an answer at one moment
stale         lookups that got a stale answer; failed: that got none`;

function firstSecond({ questions }: Series, situation: Situation): string {
  return ((questions[situation.overAtSecond] ?? 0) / quietMean(questions, situation)).toFixed(2);
}

function mostFlows({ openConnections, openSockets }: Series): number {
  return Math.max(...openConnections.map((count, second) => count + (openSockets[second] ?? 0)));
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

function round(value: number): string {
  return String(Math.round(value));
}
