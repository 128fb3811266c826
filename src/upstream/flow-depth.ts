/*
 * How many questions one flow may owe at once. A server that ends or breaks connections with questions unread is given fewer, until it
 * no longer does (slow start).
 */
import type { Clock } from "../runtime/clock.ts";
import type { Flow, FlowEnd } from "../flows/flow.ts";

/** The depth that a server tolerates. */
export interface FlowDepth {
  /** Whether one more question may be sent on the flow now. */
  hasRoom(flow: Flow): boolean;
  /** The flow has answered. */
  noteHeard(flow: Flow): void;
  /** The flow has ended. */
  noteEnd(flow: Flow, end: FlowEnd): void;
}

/**
 * A server that closes connections early mostly does so right after an answer. It is given this long before the next query is risked on the
 * connection, since a query may be lost only a few times.
 */
const settleMs = 5;

/** Creates a depth of `max()`, which may change. `onRoom` is called when a flow may be used again. */
export function createFlowDepth(max: () => number, clock: Clock, onRoom: () => void): FlowDepth {
  const settling = new Set<Flow>();
  let depth = max();

  return {
    hasRoom: (flow) => flow.load() < Math.min(depth, max()) && !settling.has(flow),
    noteHeard(flow) {
      if (depth >= max()) return;
      if (flow.answeredCount() >= 2 * depth) depth = Math.min(2 * depth, max());
      if (depth >= max()) return;
      settling.add(flow);
      clock.after(settleMs, () => {
        if (settling.delete(flow)) onRoom();
      });
    },
    noteEnd(flow, { reason, answered, unanswered }) {
      settling.delete(flow);
      // A broken frame takes all along that stand behind it, as the server's own end does.
      const isEarly = reason === "unusable" || (reason === "closed" && answered > 0);
      if (isEarly && unanswered > 0) depth = Math.max(1, Math.min(depth, answered));
    },
  };
}
