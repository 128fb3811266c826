/*
 * What has happened between nodens and one server, as plain numbers that the metrics read.
 */
import { createHistogram, type Histogram, timeBoundsSeconds } from "../runtime/histogram.ts";
import type { LossReason } from "../flows/loss-reason.ts";
import { perTransport } from "./transport.ts";
import type { Transport } from "../wire/transport.ts";
import type { FlowCounters } from "../flows/flow-counters.ts";

/** Counters of one server. The numbers only grow, except for the gauge. */
export interface ServerCounters extends FlowCounters {
  /** Flows that were left because they owed answers and were silent. */
  readonly silentFlows: Record<Transport, number>;
  /** How often a transport was found not to work, so that the other one was used. */
  readonly failedTransports: Record<Transport, number>;
  /** How often OPT was given up, because plain questions were answered and those with OPT were not. */
  ednsDropped: number;
  /** Questions that were sent again early, those of them that helped at once, and those for which the budget had no room. */
  readonly earlySends: Record<"sent" | "helped" | "overBudget", number>;
  /** Clients' attempts that came to nothing. */
  readonly losses: Record<LossReason, number>;
  /** Seconds from sending a client's question to the reply, by rcode. */
  readonly durations: Map<number, Histogram>;
  /** Flows that a proof found not to work. */
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
    earlySends: { sent: 0, helped: 0, overBudget: 0 },
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

/** The histogram for replies with this rcode, created when it is first asked for: an rcode has 12 bits, so there are not too many. */
export function durationsFor(counters: ServerCounters, rcode: number): Histogram {
  const known = counters.durations.get(rcode);
  if (known !== undefined) return known;
  const created = createHistogram(timeBoundsSeconds);
  counters.durations.set(rcode, created);
  return created;
}
