/*
 * One upstream question for any number of clients that ask the same at the same time (RFC 5452 §5: also what keeps an attacker
 * from having many chances at once), and the bounds on all that waits. Each route has its own, so that however many wait for a dead
 * one, there is room for those of another; and a client may have as many waiters on a route as it leaves free.
 *
 * A question in flight has no owner among its waiters: whoever asked first may vanish, and nothing changes for the others.
 */
import type { Answer, ShedReason } from "./answer.ts";

/** Bounds (settings: limits). */
export interface WaitLimits {
  /** On one route. */
  readonly maxWaiters: number;
  /** On all routes. */
  readonly maxWaitersPerClient: number;
}

/** A question that is on its way. */
export interface InFlight {
  /** Settles once, with what every waiter is told; never rejects. */
  readonly answer: Promise<Answer>;
  /** Settles when nothing is awaited any more: what upstream said is in the cache by then. */
  readonly settled: Promise<unknown>;
  /** The route of the question's name. */
  readonly route: string;
}

/** All questions that are on their way, by question key. */
export interface SharedQuestions {
  find(key: string): InFlight | undefined;
  /** Which bound stands against one more waiter of `client` for a question of this route. */
  boundAgainst(client: string, route: string): ShedReason | undefined;
  /**
   * Registers a question of a route. `answer` is what waiters get; the question counts as in flight until `settled` does, which may be
   * later: a stale answer is given while the fresh one is still awaited. Neither may reject.
   */
  start(key: string, route: string, answer: Promise<Answer>, settled: Promise<unknown>): InFlight;
  /** Adds a waiter of `client` (its address). Returns the answer to come, or which bound stands against it. */
  wait(inFlight: InFlight, client: string): Promise<Answer> | ShedReason;
  /** Gauges. */
  inFlightCount(): number;
  waiterCount(): number;
}

/** Creates an empty table. */
export function createSharedQuestions(limits: WaitLimits): SharedQuestions {
  const byKey = new Map<string, InFlight>();
  const waitersByClient = new Map<string, number>();
  const routes = new Map<string, { count: number; readonly byClient: Map<string, number> }>();
  let waiterCount = 0;

  function boundAgainst(client: string, route: string): ShedReason | undefined {
    if ((waitersByClient.get(client) ?? 0) >= limits.maxWaitersPerClient) return "client";
    const onRoute = routes.get(route);
    const free = limits.maxWaiters - (onRoute?.count ?? 0);
    if (free <= 0) return "waiters";
    return (onRoute?.byClient.get(client) ?? 0) >= free ? "client" : undefined;
  }

  function count(by: number, client: string, route: string): void {
    waiterCount += by;
    addTo(waitersByClient, client, by);
    const onRoute = routes.get(route) ?? { count: 0, byClient: new Map<string, number>() };
    onRoute.count += by;
    addTo(onRoute.byClient, client, by);
    if (onRoute.count === 0) routes.delete(route);
    else routes.set(route, onRoute);
  }

  return {
    find: (key) => byKey.get(key),
    boundAgainst,
    start(key, route, answer, settled) {
      const inFlight = { answer, settled, route };
      byKey.set(key, inFlight);
      void settled.then(() => byKey.delete(key));
      return inFlight;
    },
    wait(inFlight, client) {
      const { route } = inFlight;
      const bound = boundAgainst(client, route);
      if (bound !== undefined) return bound;
      count(1, client, route);
      return inFlight.answer.then((answer) => {
        count(-1, client, route);
        return answer;
      });
    },
    inFlightCount: () => byKey.size,
    waiterCount: () => waiterCount,
  };
}

/** Adds to the number under a key; 0 is not kept. */
function addTo(counts: Map<string, number>, key: string, by: number): void {
  const sum = (counts.get(key) ?? 0) + by;
  if (sum === 0) counts.delete(key);
  else counts.set(key, sum);
}
