/*
 * One upstream question for any number of clients that ask the same at the same time (RFC 5452 §5: also what keeps an attacker
 * from having many chances at once), and the bounds on all that waits.
 *
 * A question in flight has no owner among its waiters: whoever asked first may vanish, and nothing changes for the others.
 */
import type { Answer, ShedReason } from "./answer.ts";

/** Bounds (settings: limits). */
export interface WaitLimits {
  readonly maxInFlight: number;
  readonly maxWaiters: number;
  readonly maxWaitersPerQuestion: number;
  readonly maxWaitersPerClient: number;
}

/** A question that is on its way. */
export interface InFlight {
  /** Settles once, with what every waiter is told; never rejects. */
  readonly answer: Promise<Answer>;
  /** Settles when nothing is awaited any more: what upstream said is in the cache by then. */
  readonly settled: Promise<unknown>;
  waiters: number;
}

/** All questions that are on their way, by question key. */
export interface SharedQuestions {
  find(key: string): InFlight | undefined;
  /** Whether one more question may go upstream, besides those in flight and `assumedCount` others. */
  hasRoom(assumedCount?: number): boolean;
  /** Which bound stands against one more waiter of `client`: for this question or, left out, for a new one. */
  boundAgainst(client: string, inFlight?: InFlight): ShedReason | undefined;
  /**
   * Registers a question. `answer` is what waiters get; the question counts as in flight until `settled` does, which may be
   * later: a stale answer is given while the fresh one is still awaited. Neither may reject.
   */
  start(key: string, answer: Promise<Answer>, settled: Promise<unknown>): InFlight;
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
  let waiterCount = 0;

  function leave(inFlight: InFlight, client: string): void {
    inFlight.waiters -= 1;
    waiterCount -= 1;
    const left = (waitersByClient.get(client) ?? 1) - 1;
    if (left === 0) waitersByClient.delete(client);
    else waitersByClient.set(client, left);
  }

  function boundAgainst(client: string, inFlight?: InFlight): ShedReason | undefined {
    if ((waitersByClient.get(client) ?? 0) >= limits.maxWaitersPerClient) return "client";
    const isFull = inFlight !== undefined && inFlight.waiters >= limits.maxWaitersPerQuestion;
    return isFull || waiterCount >= limits.maxWaiters ? "waiters" : undefined;
  }

  return {
    find: (key) => byKey.get(key),
    hasRoom: (assumedCount = 0) => byKey.size + assumedCount < limits.maxInFlight,
    boundAgainst,
    start(key, answer, settled) {
      const inFlight = { answer, settled, waiters: 0 };
      byKey.set(key, inFlight);
      void settled.then(() => byKey.delete(key));
      return inFlight;
    },
    wait(inFlight, client) {
      const bound = boundAgainst(client, inFlight);
      if (bound !== undefined) return bound;
      inFlight.waiters += 1;
      waiterCount += 1;
      waitersByClient.set(client, (waitersByClient.get(client) ?? 0) + 1);
      return inFlight.answer.then((answer) => {
        leave(inFlight, client);
        return answer;
      });
    },
    inFlightCount: () => byKey.size,
    waiterCount: () => waiterCount,
  };
}
