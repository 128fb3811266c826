/*
 * One upstream question for any number of clients that ask the same at the same time, which also denies an attacker many chances at once
 * (RFC 5452 §5), and the bounds on waiters. Each route has its own bound, so that however many wait on a dead route, there is room on
 * the others; and a client may have no more waiters on a route than it leaves free.
 *
 * None of its waiters owns a question in flight: the client that asked first may vanish, and nothing changes for the others.
 */
import type { Answer, ShedReason } from "./answer.ts";
import { type ClientCount, type ClientRecords, createClientCounts } from "./client-records.ts";
import { createKeyTable } from "./key-table.ts";

/** Bounds (settings: limits). They may change at any time. */
export interface WaitLimits {
  /** Waiters on one route. */
  readonly maxWaiters: number;
  /** One client's waiters on all routes together. */
  readonly maxWaitersPerClient: number;
}

/** A question in flight. */
export interface InFlight {
  /** Settles once, with what every waiter is told; never rejects. */
  readonly answer: Promise<Answer>;
  /** Settles when nothing more is awaited; by then, what upstream said is in the cache. */
  readonly settled: Promise<unknown>;
  /** The route of the question's name. */
  readonly route: string;
}

/** All questions in flight, by question key (wire/question). */
export interface SharedQuestions {
  /** The flight of this question, or undefined if it is not in flight. */
  find(key: string): InFlight | undefined;
  /** The bound that one more waiter of `client` on this route would exceed, or undefined. */
  boundAgainst(client: string, route: string): ShedReason | undefined;
  /**
   * Registers a question as in flight on a route. `answer` is what waiters get. The question counts as in flight until `settled` settles,
   * which may be later: a stale answer is given while the fresh one is still awaited. Neither may reject.
   */
  start(key: string, route: string, answer: Promise<Answer>, settled: Promise<unknown>): InFlight;
  /**
   * Adds a waiter of `client`, an address. Returns the answer to come, or the bound that the waiter would exceed. `ofWaiter` turns the
   * flight's answer into what this waiter gets, which may come sooner; it must not reject.
   */
  wait(
    inFlight: InFlight,
    client: string,
    ofWaiter?: (answer: Promise<Answer>) => Promise<Answer>,
  ): Promise<Answer> | ShedReason;
  /** Gauge: questions in flight. */
  inFlightCount(): number;
  /** Gauge: waiters on all routes. */
  waiterCount(): number;
}

/** Who waits on one route. */
interface WaitersOnRoute {
  count: number;
  readonly byClient: ClientRecords<ClientCount>;
}

/** Creates an empty table. */
export function createSharedQuestions(limits: WaitLimits): SharedQuestions {
  const byKey = createKeyTable<InFlight>();
  const waitersByClient = createClientCounts();
  const routes = new Map<string, WaitersOnRoute>();
  let waiterCount = 0;

  function boundAgainst(client: string, route: string): ShedReason | undefined {
    if ((waitersByClient.find(client)?.count ?? 0) >= limits.maxWaitersPerClient) return "client";
    const onRoute = routes.get(route);
    const free = limits.maxWaiters - (onRoute?.count ?? 0);
    if (free <= 0) return "waiters";
    return (onRoute?.byClient.find(client)?.count ?? 0) >= free ? "client" : undefined;
  }

  function onRouteOf(route: string): WaitersOnRoute {
    const known = routes.get(route);
    if (known !== undefined) return known;
    const onRoute = { count: 0, byClient: createClientCounts() };
    routes.set(route, onRoute);
    return onRoute;
  }

  function count(by: number, client: string, route: string): void {
    const onRoute = onRouteOf(route);
    waiterCount += by;
    waitersByClient.of(client).count += by;
    onRoute.count += by;
    onRoute.byClient.of(client).count += by;
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
    wait(inFlight, client, ofWaiter = (answer) => answer) {
      const { route } = inFlight;
      const bound = boundAgainst(client, route);
      if (bound !== undefined) return bound;
      count(1, client, route);
      return ofWaiter(inFlight.answer).then((answer) => {
        count(-1, client, route);
        return answer;
      });
    },
    inFlightCount: byKey.size,
    waiterCount: () => waiterCount,
  };
}
