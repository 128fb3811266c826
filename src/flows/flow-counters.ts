/*
 * What flows count of the server that they lead to.
 */
import type { Transport } from "../wire/transport.ts";
import type { MatchResult } from "./waiting-attempts.ts";

/** Counters that all flows to one server share. The numbers only grow, except for the gauge. */
export interface FlowCounters {
  /** Attempts that were sent, nodens's own questions included. */
  readonly sends: Record<Transport, number>;
  /** Sends on a flow that had been sent on before. */
  readonly reusedFlows: Record<Transport, number>;
  /** Flows that were opened. */
  readonly openedFlows: Record<Transport, number>;
  /** Gauge: flows open now. */
  readonly openFlows: Record<Transport, number>;
  /** Packets that answered no open question. */
  readonly ignored: Record<Exclude<MatchResult, "answered">, number>;
}
