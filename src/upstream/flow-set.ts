/*
 * The flows of one path that are in use, and those that no longer are: worn ones that wait for their last answers, and silent ones that were
 * left.
 */
import type { Flow } from "../flows/flow.ts";
import type { Clock } from "../runtime/clock.ts";

/** When a flow is worn (settings: upstream.udp and upstream.tcp). Each flow gets up to a fifth more or less of both. */
export interface WearLimits {
  readonly maxAgeSeconds: number;
  readonly maxQueries: number;
}

/** The flows of one path. */
export interface FlowSet {
  /** The flows in use, the most recently used last. A new array, as for the next three. */
  all(): Flow[];
  /** The flows in use on which clients' questions are safe. */
  good(): Flow[];
  /** The flows in use that have not answered yet and may still do so in time. */
  onTrial(): Flow[];
  /** The flows in use that owe answers and say nothing. */
  silent(): Flow[];
  /** Whether a flow is in use. */
  has(flow: Flow): boolean;
  /** How many flows are in use. */
  size(): number;
  /** Puts a flow in use. */
  add(flow: Flow): void;
  /** Notes that a flow was used, so that its equals are used first. */
  touch(flow: Flow): void;
  /** Whether a flow is old enough, or has been asked often enough, to be replaced. */
  isWorn(flow: Flow): boolean;
  /** Takes a flow out of use; it ends when its last answer has come. */
  retire(flow: Flow): void;
  /** The same, but the last answers must come soon. */
  leave(flow: Flow): void;
  /** Forgets a flow that has ended. Returns whether it was in use until then. */
  remove(flow: Flow): boolean;
  /** Ends all flows, in use or not. */
  close(): void;
}

/** How long a flow that was left may still answer. */
const lastWordMs = 2000;

/** Creates an empty set. */
export function createFlowSet(limits: WearLimits, clock: Clock): FlowSet {
  const used = new Map<Flow, { readonly retireAtMs: number; readonly maxQueries: number }>();
  // Each with the function that cancels the timer that ends it.
  const ending = new Map<Flow, () => void>();
  const all = () => [...used.keys()];

  function retire(flow: Flow): void {
    used.delete(flow);
    ending.set(flow, () => {});
    flow.retire();
  }

  return {
    all,
    good: () => all().filter((flow) => flow.isGood()),
    onTrial: () => all().filter((flow) => !flow.isGood() && !flow.isSilent() && flow.isAccepting()),
    silent: () => all().filter((flow) => flow.isSilent()),
    has: (flow) => used.has(flow),
    size: () => used.size,
    add(flow) {
      const jitter = 0.8 + 0.4 * Math.random();
      const retireAtMs = flow.openedAtMs + limits.maxAgeSeconds * 1000 * jitter;
      used.set(flow, { retireAtMs, maxQueries: Math.ceil(limits.maxQueries * jitter) });
    },
    touch(flow) {
      const bounds = used.get(flow);
      if (bounds === undefined || !used.delete(flow)) return;
      used.set(flow, bounds);
    },
    isWorn(flow) {
      const bounds = used.get(flow);
      return bounds !== undefined && (clock.nowMs() >= bounds.retireAtMs || flow.sentCount() >= bounds.maxQueries);
    },
    retire,
    leave(flow) {
      retire(flow);
      if (flow.load() === 0) flow.close("timeout");
      else
        ending.set(
          flow,
          clock.after(lastWordMs, () => flow.close("timeout")),
        );
    },
    remove(flow) {
      ending.get(flow)?.();
      ending.delete(flow);
      return used.delete(flow);
    },
    close() {
      for (const flow of [...used.keys(), ...ending.keys()]) flow.close("stopped");
    },
  };
}
