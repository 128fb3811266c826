/*
 * One upstream question for any number of clients that ask the same at the same time, which also denies an attacker many chances at once
 * (RFC 5452 §5), and the bounds on waiters. Each route has its own bound, so that however many wait on a dead route, there is room on
 * the others; and a client may have no more waiters on a route than it leaves free.
 *
 * None of its waiters owns a question in flight: the client that asked first may vanish, and nothing changes for the others.
 */
import type { Question } from "../wire/question.ts";
import type { Answer, ShedReason } from "./answer.ts";
import { type ClientCount, type ClientRecords, createClientCounts } from "./client-records.ts";
import { createQuestionTable, type Questioned } from "./question-table.ts";

/** Bounds (settings: limits). They may change at any time. */
export interface WaitLimits {
  /** Waiters on one route. */
  readonly maxWaiters: number;
  /** One client's waiters on all routes together. */
  readonly maxWaitersPerClient: number;
}

/** Is told an answer. */
export type Tell = (answer: Answer) => void;

/** A question in flight. */
export interface InFlight extends Questioned<InFlight> {
  /** The route of the question's name. */
  readonly route: string;
  /** What waiters are told, once that is known. */
  answer: Answer | undefined;
  /** Undefined as long as there is none. */
  waiters: Waiter[] | undefined;
  isOver: boolean;
  /** Called when it is over. */
  onEnd: (() => void)[] | undefined;
}

/** One of those who wait for a question in flight. */
export interface Waiter {
  readonly flight: InFlight;
  /** Its address; undefined for nodens itself, which counts as no waiter. */
  readonly client: string | undefined;
  /** Undefined once it was told, or has left. */
  tell: Tell | undefined;
}

/** All questions in flight. */
export interface SharedQuestions {
  /** The flight of this question, but for its type if another is given; undefined if it is not in flight. */
  find(question: Question, type?: number): InFlight | undefined;
  /** The bound that one more waiter of `client` on this route would exceed, or undefined. */
  boundAgainst(client: string, route: string): ShedReason | undefined;
  /** Registers a question as in flight on a route, until `end`. */
  start(question: Question, route: string): InFlight;
  /**
   * Tells all who wait what they get, and those who come later. Only the first call counts. The question may be in flight for longer: a
   * stale answer is given while the fresh one is still awaited.
   */
  answer(flight: InFlight, answer: Answer): void;
  /** Nothing more is awaited; by now, what upstream said is in the cache. */
  end(flight: InFlight): void;
  /**
   * Adds a waiter of `client`, an address, which is told once, at once if the answer is known. Returns the waiter, or the bound that it
   * would exceed.
   */
  wait(flight: InFlight, client: string, tell: Tell): Waiter | ShedReason;
  /** A waiter waits no longer, and is not told anything. */
  leave(waiter: Waiter): void;
  /** The answer, for nodens itself, which counts as no waiter. Never rejects. */
  answerOf(flight: InFlight): Promise<Answer>;
  /** Resolves when the question is no longer in flight. */
  ended(flight: InFlight): Promise<void>;
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
  const inFlight = createQuestionTable<InFlight>();
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

  /** Ends a wait. Returns whom to tell, or undefined if it was over already. */
  function stopWaiting(waiter: Waiter): Tell | undefined {
    const { tell } = waiter;
    if (tell === undefined) return undefined;
    waiter.tell = undefined;
    if (waiter.client !== undefined) count(-1, waiter.client, waiter.flight.route);
    return tell;
  }

  return {
    find: inFlight.find,
    boundAgainst,
    start(question, route) {
      const flight: InFlight = {
        question,
        next: undefined,
        route,
        answer: undefined,
        waiters: undefined,
        isOver: false,
        onEnd: undefined,
      };
      inFlight.add(flight);
      return flight;
    },
    answer(flight, answer) {
      if (flight.answer !== undefined) return;
      flight.answer = answer;
      for (const waiter of flight.waiters ?? []) stopWaiting(waiter)?.(answer);
      flight.waiters = undefined;
    },
    end(flight) {
      if (flight.isOver) return;
      flight.isOver = true;
      inFlight.remove(flight);
      for (const call of flight.onEnd ?? []) call();
    },
    wait(flight, client, tell) {
      const bound = boundAgainst(client, flight.route);
      if (bound !== undefined) return bound;
      const waiter: Waiter = { flight, client, tell };
      count(1, client, flight.route);
      if (flight.answer === undefined) addWaiter(flight, waiter);
      else stopWaiting(waiter)?.(flight.answer);
      return waiter;
    },
    leave: (waiter) => void stopWaiting(waiter),
    answerOf(flight) {
      if (flight.answer !== undefined) return Promise.resolve(flight.answer);
      return new Promise((tell) => addWaiter(flight, { flight, client: undefined, tell }));
    },
    ended(flight) {
      if (flight.isOver) return Promise.resolve();
      return new Promise((resolve) => void (flight.onEnd ??= []).push(resolve));
    },
    inFlightCount: inFlight.size,
    waiterCount: () => waiterCount,
  };
}

/** Mostly there is one, for which an array that grows would take room for many. */
function addWaiter(flight: InFlight, waiter: Waiter): void {
  if (flight.waiters === undefined) flight.waiters = [waiter];
  else flight.waiters.push(waiter);
}
