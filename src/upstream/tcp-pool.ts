/*
 * The few TCP connections to one server. A CoreDNS answers one query at a time per connection, so depth is bounded, the least
 * loaded connection is used, and another is opened only when the oldest unanswered query is overdue or all are full. What does
 * not fit waits here, where it can still go to any connection.
 *
 * A kube-proxy pins a connection to one kube-dns pod for its life. Connections therefore retire by age, with jitter, and the new
 * one is connected before the old one takes no more.
 */
import type { Clock } from "../runtime/clock.ts";
import type { ServerAddress } from "../runtime/server-address.ts";
import type { Attempt, Cancel, LossReason } from "./flow.ts";
import type { ServerCounters } from "./server-counters.ts";
import { openTcpFlow, type TcpFlow, type TcpFlowEnd } from "./tcp-flow.ts";

/** Limits of a pool (settings: upstream.tcp). */
export interface TcpPoolLimits {
  readonly maxFlows: number;
  readonly maxDepth: number;
  readonly connectTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly maxAgeSeconds: number;
  readonly maxQueries: number;
}

/** Sends attempts to one server over TCP. */
export interface TcpPool {
  /** Sends now, or as soon as a connection has room. */
  send(attempt: Attempt): Cancel;
  /** The attempt sent at `sentAtMs` got no answer in time. Connections that have been silent since are given up. */
  suspect(sentAtMs: number): void;
  close(): void;
}

/** A query unanswered for so long says that its connection is busy with something slow. */
const overdueMs = 100;

/**
 * A server that is known to end connections early mostly does so right after an answer: it is given so long before the next
 * query is risked on that connection, for a query may be lost only so often.
 */
const settleMs = 5;

/** Creates a pool without connections; the first attempt opens one. */
export function createTcpPool(
  server: ServerAddress,
  limits: TcpPoolLimits,
  clock: Clock,
  counters: ServerCounters,
): TcpPool {
  const flows = new Set<TcpFlow>();
  const queue = new Set<QueuedAttempt>();
  const maxAges = new WeakMap<TcpFlow, number>();
  const settling = new Set<TcpFlow>();
  // Lowered when the server ends connections with queries unread, raised again while it does not (slow start).
  let depth = limits.maxDepth;
  let isClosed = false;

  function send(attempt: Attempt): Cancel {
    if (isClosed) {
      attempt.onLost("stopped");
      return () => {};
    }
    const flow = queue.size === 0 ? chooseFlow() : undefined;
    if (flow !== undefined) return sendOn(flow, attempt);
    const queued: QueuedAttempt = { attempt, cancel: () => queue.delete(queued) };
    queue.add(queued);
    return () => queued.cancel();
  }

  function sendOn(flow: TcpFlow, attempt: Attempt): Cancel {
    if (flow.sentCount() > 0) counters.reusedFlows.tcp += 1;
    const cancel = flow.send(attempt);
    if (isWorn(flow)) replace(flow);
    return cancel;
  }

  /** The connection for the next query, opening one if need be; undefined when all are full and there may be no more. */
  function chooseFlow(): TcpFlow | undefined {
    const accepting = [...flows].filter((flow) => flow.isAccepting());
    const withRoom = accepting.filter((flow) => flow.load() < depth && !settling.has(flow));
    // One that is still connecting is the second choice: a query that can spare itself the handshake does.
    const prompt = withRoom.filter((flow) => flow.isConnected() && !isOverdue(flow));
    const best = (prompt.length > 0 ? prompt : withRoom).reduce<TcpFlow | undefined>(lessLoaded, undefined);
    if ((best === undefined || isOverdue(best)) && accepting.length < limits.maxFlows) return open();
    return best;
  }

  function isOverdue(flow: TcpFlow): boolean {
    return clock.nowMs() - flow.oldestSentAtMs() > overdueMs;
  }

  function open(): TcpFlow {
    const flow = openTcpFlow({
      server,
      clock,
      counters,
      connectTimeoutMs: limits.connectTimeoutMs,
      idleTimeoutMs: limits.idleTimeoutMs,
      onAnswer() {
        if (depth < limits.maxDepth && flow.sentCount() - flow.load() >= 2 * depth) depth *= 2;
        depth = Math.min(depth, limits.maxDepth);
        if (depth < limits.maxDepth) settle(flow);
        else sendQueued();
      },
      onClose: (end) => onClose(flow, end),
    });
    flows.add(flow);
    maxAges.set(flow, limits.maxAgeSeconds * 1000 * (0.8 + 0.4 * Math.random()));
    return flow;
  }

  function settle(flow: TcpFlow): void {
    settling.add(flow);
    clock.after(settleMs, () => {
      settling.delete(flow);
      sendQueued();
    });
  }

  function onClose(flow: TcpFlow, end: TcpFlowEnd): void {
    flows.delete(flow);
    settling.delete(flow);
    if (end.wasConnected && end.reason === "closed" && end.unanswered > 0)
      depth = Math.max(1, Math.min(depth, end.answered));
    // Without a connection there is nobody to answer what waits: it fails with the connection it waited for.
    if (!end.wasConnected && flows.size === 0) failQueued(end.reason);
    // The lost attempts are asked again by their exchanges, in this same turn and in front of what is queued.
    queueMicrotask(sendQueued);
  }

  function sendQueued(): void {
    while (queue.size > 0) {
      const flow = chooseFlow();
      if (flow === undefined) return;
      const [first] = queue;
      if (first === undefined) return;
      queue.delete(first);
      first.cancel = sendOn(flow, first.attempt);
    }
  }

  function failQueued(reason: LossReason): void {
    // Neither those that a loss takes back, nor those that it makes come again.
    const failing = [...queue];
    for (const queued of failing) {
      if (queue.delete(queued)) queued.attempt.onLost(reason);
    }
  }

  function isWorn(flow: TcpFlow): boolean {
    return flow.sentCount() >= limits.maxQueries || clock.nowMs() - flow.openedAtMs >= (maxAges.get(flow) ?? 0);
  }

  /** Opens the successor; the worn connection goes on until that is connected, so that no query waits for a handshake. */
  function replace(worn: TcpFlow): void {
    const successors = [...flows].filter((flow) => flow !== worn && flow.isAccepting() && !isWorn(flow));
    if (successors.some((flow) => flow.isConnected())) worn.retire();
    else if (successors.length === 0) open();
  }

  return {
    send,
    suspect(sentAtMs) {
      for (const flow of flows) {
        if (flow.oldestSentAtMs() <= sentAtMs && flow.isSilentSince(sentAtMs)) flow.close("timeout");
      }
    },
    close() {
      isClosed = true;
      failQueued("stopped");
      for (const flow of flows) flow.close("stopped");
    },
  };
}

interface QueuedAttempt {
  readonly attempt: Attempt;
  /** Takes it out of the queue or, once it was sent, off its connection. */
  cancel: Cancel;
}

function lessLoaded(best: TcpFlow | undefined, flow: TcpFlow): TcpFlow {
  return best === undefined || flow.load() < best.load() ? flow : best;
}
