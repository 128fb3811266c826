/*
 * The few long-lived UDP sockets to one server. One is enough while it is answered: another is opened only when the oldest question on
 * the one in turn is overdue, so that A and AAAA of a name never open two. They are used in turn, and each retires after a bounded number of queries and
 * seconds, with jitter, so that a port is neither kept for ever nor thrown away after one query.
 */
import type { Clock } from "../runtime/clock.ts";
import type { ServerAddress } from "../runtime/server-address.ts";
import type { Attempt, Cancel } from "./flow.ts";
import type { ServerCounters } from "./server-counters.ts";
import { openUdpFlow, type UdpFlow } from "./udp-flow.ts";

/** Limits of a pool (settings: upstream.udp). */
export interface UdpPoolLimits {
  readonly maxFlows: number;
  readonly maxAgeSeconds: number;
  readonly maxQueries: number;
  readonly maxWrongReplies: number;
}

/** Sends attempts to one server over UDP. */
export interface UdpPool {
  send(attempt: Attempt): Cancel;
  /** Does nothing: one socket says nothing of the others. */
  suspect(): void;
  close(): void;
}

/** A question unanswered for so long was lost, or its server is slow: the next one takes another path through the node's NAT. */
const overdueMs = 100;

/** Creates a pool without sockets; attempts open them. */
export function createUdpPool(
  server: ServerAddress,
  limits: UdpPoolLimits,
  clock: Clock,
  counters: ServerCounters,
): UdpPool {
  // The socket used last stands at the end, so that a question sent again takes another path through the node's NAT.
  let flows: PooledFlow[] = [];
  // With those that retire: they wait for their last answers, and end with the pool.
  const openFlows = new Set<UdpFlow>();
  let isClosed = false;

  function nextFlow(): UdpFlow {
    retireWornFlows();
    const [next, ...others] = flows;
    if (next === undefined || (flows.length < limits.maxFlows && isOverdue(next.flow))) return open();
    flows = [...others, next];
    counters.reusedFlows.udp += 1;
    return next.flow;
  }

  function isOverdue(flow: UdpFlow): boolean {
    return clock.nowMs() - flow.oldestSentAtMs() > overdueMs;
  }

  function open(): UdpFlow {
    const flow = openUdpFlow({
      server,
      clock,
      counters,
      maxWrongReplies: limits.maxWrongReplies,
      onClose() {
        openFlows.delete(flow);
        remove(flow);
      },
    });
    openFlows.add(flow);
    const jitter = 0.8 + 0.4 * Math.random();
    flows.push({
      flow,
      retireAtMs: flow.openedAtMs + limits.maxAgeSeconds * 1000 * jitter,
      maxQueries: Math.ceil(limits.maxQueries * jitter),
    });
    return flow;
  }

  function retireWornFlows(): void {
    const nowMs = clock.nowMs();
    for (const { flow, retireAtMs, maxQueries } of flows) {
      if (nowMs < retireAtMs && flow.sentCount() < maxQueries && flow.isAccepting()) continue;
      remove(flow);
      flow.retire();
    }
  }

  function remove(flow: UdpFlow): void {
    flows = flows.filter((pooled) => pooled.flow !== flow);
  }

  return {
    send(attempt: Attempt) {
      if (!isClosed) return nextFlow().send(attempt);
      attempt.onLost("stopped");
      return () => {};
    },
    suspect() {},
    close() {
      isClosed = true;
      for (const flow of openFlows) flow.close("stopped");
    },
  };
}

interface PooledFlow {
  readonly flow: UdpFlow;
  readonly retireAtMs: number;
  readonly maxQueries: number;
}
