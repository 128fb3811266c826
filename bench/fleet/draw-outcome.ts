/*
 * What is drawn of a situation: questions, flows, and lookups that wait.
 */
import { drawLines } from "./draw-lines.ts";
import { mostTimesQuiet, quietMean } from "./judge.ts";
import type { Outcome } from "./report.ts";
import { settledAtSecond } from "./situations.ts";

const colours = { first: "#2a6f97", second: "#2a9d8f", third: "#c8553d" };

/** The picture of a situation of a fleet. */
export function drawOutcome({ situation, series }: Outcome, nodes: number): string {
  const quiet = quietMean(series.questions, situation);
  const mostInVain = Math.max(...series.vainQuestions);
  return drawLines({
    title: `${nodes} nodes: ${situation.title}`,
    from: settledAtSecond,
    to: situation.endsAtSecond,
    shadeFrom: situation.beginsAtSecond,
    shadeTo: situation.overAtSecond,
    panels: [
      {
        title: "questions a second",
        lines: [
          { label: "answered", colour: colours.first, numbers: series.questions },
          { label: "of nodens's own", colour: colours.second, numbers: series.ownQuestions },
          { label: `in vain (${mostInVain} at most)`, colour: colours.third, numbers: series.vainQuestions },
        ],
        top: (mostTimesQuiet + 0.5) * quiet,
        mark: { label: `${mostTimesQuiet} × the quiet rate`, value: mostTimesQuiet * quiet },
      },
      {
        title: "flows",
        lines: [
          { label: "connections", colour: colours.first, numbers: series.openConnections },
          { label: "UDP sockets", colour: colours.second, numbers: series.openSockets },
          { label: "opened a second", colour: colours.third, numbers: series.openedFlows },
        ],
      },
      {
        title: "lookups of pods",
        lines: [
          { label: "waiting", colour: colours.first, numbers: series.waitingLookups },
          { label: "stale a second", colour: colours.second, numbers: series.staleLookups },
          { label: "failed a second", colour: colours.third, numbers: series.failedLookups },
        ],
      },
    ],
  });
}
