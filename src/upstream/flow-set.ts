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
  /** Whether there is any of those. */
  hasGood(): boolean;
  /** The flows in use that have not answered yet and may still do so in time. */
  onTrial(): Flow[];
  /** The flows in use that owe answers and say nothing. */
  silent(): Flow[];
  /** Of the flows on which clients' questions are safe, the wanted one that owes the fewest answers; of equals, the least recently used. */
  leastLoaded(isWanted: (flow: Flow) => boolean): Flow | undefined;
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

/** A flow in use, and when it is worn. */
interface Used {
  readonly flow: Flow;
  readonly retireAtMs: number;
  readonly maxQueries: number;
}

/** Creates an empty set. */
export function createFlowSet(limits: WearLimits, clock: Clock): FlowSet {
  // Few, and moved with each question, which a Map would pay for with ever new tables.
  const used: Used[] = [];
  // Each with the function that cancels the timer that ends it.
  const ending = new Map<Flow, () => void>();

  const placeOf = (flow: Flow) => used.findIndex((each) => each.flow === flow);

  function flowsThat(isSo: (flow: Flow) => boolean): Flow[] {
    const found: Flow[] = [];
    for (const { flow } of used) if (isSo(flow)) found.push(flow);
    return found;
  }

  function takeOut(flow: Flow): boolean {
    const place = placeOf(flow);
    if (place >= 0) used.splice(place, 1);
    return place >= 0;
  }

  function retire(flow: Flow): void {
    takeOut(flow);
    ending.set(flow, () => {});
    flow.retire();
  }

  return {
    all: () => used.map(({ flow }) => flow),
    good: () => flowsThat((flow) => flow.isGood()),
    hasGood() {
      for (const { flow } of used) if (flow.isGood()) return true;
      return false;
    },
    onTrial: () => flowsThat((flow) => !flow.isGood() && !flow.isSilent() && flow.isAccepting()),
    silent: () => flowsThat((flow) => flow.isSilent()),
    leastLoaded(isWanted) {
      let found: Flow | undefined;
      let leastLoad = Infinity;
      for (const { flow } of used) {
        const load = flow.load();
        if (load >= leastLoad || !flow.isGood() || !isWanted(flow)) continue;
        found = flow;
        leastLoad = load;
      }
      return found;
    },
    has: (flow) => placeOf(flow) >= 0,
    size: () => used.length,
    add(flow) {
      const jitter = 0.8 + 0.4 * Math.random();
      const retireAtMs = flow.openedAtMs + limits.maxAgeSeconds * 1000 * jitter;
      used.push({ flow, retireAtMs, maxQueries: Math.ceil(limits.maxQueries * jitter) });
    },
    touch(flow) {
      const place = placeOf(flow);
      const each = used[place];
      if (each === undefined) return;
      used.copyWithin(place, place + 1);
      used[used.length - 1] = each;
    },
    isWorn(flow) {
      const bounds = used[placeOf(flow)];
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
      return takeOut(flow);
    },
    close() {
      for (const flow of [...used.map((each) => each.flow), ...ending.keys()]) flow.close("stopped");
    },
  };
}
