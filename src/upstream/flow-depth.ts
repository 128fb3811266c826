/*
 * How many questions one flow may owe at once. A server that ends connections with questions unread is given fewer, until it no
 * longer does (slow start).
 */
import type { Clock } from "../runtime/clock.ts";
import type { Flow, FlowEnd } from "../flows/flow.ts";

/** The depth that a server bears. */
export interface FlowDepth {
  /** Whether one more may be sent on the flow now. */
  hasRoom(flow: Flow): boolean;
  /** The flow answered. */
  noteHeard(flow: Flow): void;
  noteEnd(flow: Flow, end: FlowEnd): void;
}

/**
 * A server that is known to end connections early mostly does so right after an answer: it is given so long before the next
 * query is risked on that connection, for a query may be lost only so often.
 */
const settleMs = 5;

/** Creates a depth of `max`. `onRoom` is told when a flow may be used again. */
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
      if (reason === "closed" && answered > 0 && unanswered > 0) depth = Math.max(1, Math.min(depth, answered));
    },
  };
}
