/*
 * What happened between nodens and one server, as plain numbers that the metrics read.
 */
import { createHistogram, type Histogram, timeBoundsSeconds } from "../runtime/histogram.ts";
import type { LossReason } from "../flows/loss-reason.ts";
import { perTransport, type Transport } from "./transport.ts";
import type { MatchResult } from "../flows/waiting-attempts.ts";

/** Counters of one server. Numbers only grow, except the gauges. */
export interface ServerCounters {
  readonly sends: Record<Transport, number>;
  /** Sends on a flow that was open already, and those that had to open one. */
  readonly reusedFlows: Record<Transport, number>;
  readonly openedFlows: Record<Transport, number>;
  /** Gauge: flows open now. */
  readonly openFlows: Record<Transport, number>;
  /** Flows that were left because they owed answers and were silent. */
  readonly silentFlows: Record<Transport, number>;
  /** How often a transport was found not to work, so that the other is used. */
  readonly failedTransports: Record<Transport, number>;
  /** How often OPT was given up because plain questions are answered and others are not. */
  ednsDropped: number;
  /** Questions sent again though their flow went on answering others, and those for which the budget had no room. */
  readonly earlySends: Record<"sent" | "overBudget", number>;
  /** Attempts that came to nothing. */
  readonly losses: Record<LossReason, number>;
  /** Packets that answered no open question. */
  readonly ignored: Record<Exclude<MatchResult, "answered">, number>;
  /** Time from sending to the reply, by rcode. */
  readonly durations: Map<number, Histogram>;
  failedProbes: number;
}

/** Creates counters that are all 0. */
export function createServerCounters(): ServerCounters {
  const zeros = () => perTransport(() => 0);
  return {
    sends: zeros(),
    reusedFlows: zeros(),
    openedFlows: zeros(),
    openFlows: zeros(),
    silentFlows: zeros(),
    failedTransports: zeros(),
    ednsDropped: 0,
    earlySends: { sent: 0, overBudget: 0 },
    losses: {
      timeout: 0,
      refused: 0,
      unreachable: 0,
      exhausted: 0,
      closed: 0,
      forgery: 0,
      unusable: 0,
      stopped: 0,
    },
    ignored: { malformed: 0, "unknown-id": 0, "wrong-question": 0, late: 0 },
    durations: new Map(),
    failedProbes: 0,
  };
}

/** The histogram of a server's replies with this rcode, made when it is first seen: rcodes are a closed set of 12 bits. */
export function durationsFor(counters: ServerCounters, rcode: number): Histogram {
  const known = counters.durations.get(rcode);
  if (known !== undefined) return known;
  const created = createHistogram(timeBoundsSeconds);
  counters.durations.set(rcode, created);
  return created;
}
