/*
 * What is counted, second by second, over the whole fleet.
 */
import type { Transport } from "../../src/wire/transport.ts";
import type { EventClock } from "./event-clock.ts";

/** One number a second. Gauges hold the most that they were within it. */
export interface Series {
  /** Questions that arrived at a pod of kube-dns that is there, nodens's own included. */
  readonly questions: number[];
  /** Of them, those that nodens asked for itself. */
  readonly ownQuestions: number[];
  /** Questions that were sent, and met nobody. */
  readonly vainQuestions: number[];
  /** Flows that were opened, connections and sockets. */
  readonly openedFlows: number[];
  /** Gauge: connections that are open or being opened. */
  readonly openConnections: number[];
  /** Gauge: the same for UDP sockets. */
  readonly openSockets: number[];
  /** Gauge: lookups of pods that wait for an answer. */
  readonly waitingLookups: number[];
  /** Lookups that were answered with a stale answer. */
  readonly staleLookups: number[];
  /** Lookups that ended without an answer, SERVFAIL included. */
  readonly failedLookups: number[];
}

/** Counts. */
export interface Traffic {
  noteQuestion(isOwn: boolean, isHeard: boolean): void;
  noteOpened(transport: Transport): void;
  noteClosed(transport: Transport): void;
  noteWaiting(by: 1 | -1): void;
  noteLookup(outcome: "stale" | "failed"): void;
  /** A second is over: gauges that have not changed in it are what they were. */
  noteSecond(): void;
  readonly series: Series;
}

/** Creates counts for so many seconds. */
export function createTraffic(clock: EventClock, seconds: number): Traffic {
  const zeros = () => Array.from({ length: seconds }, () => 0);
  const series: Series = {
    questions: zeros(),
    ownQuestions: zeros(),
    vainQuestions: zeros(),
    openedFlows: zeros(),
    openConnections: zeros(),
    openSockets: zeros(),
    waitingLookups: zeros(),
    staleLookups: zeros(),
    failedLookups: zeros(),
  };
  const gauges = {
    openConnections: createGauge(clock, series.openConnections),
    openSockets: createGauge(clock, series.openSockets),
    waitingLookups: createGauge(clock, series.waitingLookups),
  };
  const gaugeOf = { tcp: gauges.openConnections, udp: gauges.openSockets };

  function count(numbers: number[]): void {
    const second = Math.floor(clock.nowMs() / 1000);
    if (second < numbers.length) numbers[second] = (numbers[second] ?? 0) + 1;
  }

  return {
    series,
    noteQuestion(isOwn, isHeard) {
      count(isHeard ? series.questions : series.vainQuestions);
      if (isOwn && isHeard) count(series.ownQuestions);
    },
    noteOpened(transport) {
      count(series.openedFlows);
      gaugeOf[transport](1);
    },
    noteClosed: (transport) => gaugeOf[transport](-1),
    noteWaiting: (by) => gauges.waitingLookups(by),
    noteSecond() {
      for (const gauge of Object.values(gauges)) gauge(0);
    },
    noteLookup: (outcome) => count(outcome === "stale" ? series.staleLookups : series.failedLookups),
  };
}

/** Adds to a gauge, and keeps the most of each second; a second in which nothing changes has the value of the last. */
function createGauge(clock: EventClock, mostOf: number[]): (by: number) => void {
  let value = 0;
  let filledUpTo = 0;
  return (by) => {
    const second = Math.floor(clock.nowMs() / 1000);
    for (; filledUpTo <= second && filledUpTo < mostOf.length; filledUpTo += 1) mostOf[filledUpTo] = value;
    value += by;
    if (second < mostOf.length) mostOf[second] = Math.max(mostOf[second] ?? 0, value);
  };
}
