/*
 * Attempts for which no flow has room yet. They wait here, where they can still go to any flow.
 */
import type { Attempt, Cancel } from "../flows/attempt.ts";
import type { LossReason } from "../flows/loss-reason.ts";

/** Waiting attempts, the first come the first. */
export interface AttemptQueue {
  isEmpty(): boolean;
  /** Adds one. It is taken back wherever it is by then. */
  add(attempt: Attempt): Cancel;
  /** Sends them while `send` takes them: it returns undefined when there is no room. */
  sendWith(send: (attempt: Attempt) => Cancel | undefined): void;
  /** Reports all that wait now lost: neither those that a loss takes back, nor those that it makes come again. */
  loseAll(reason: LossReason): void;
}

/** Creates an empty queue. */
export function createAttemptQueue(): AttemptQueue {
  const queue = new Set<{ readonly attempt: Attempt; cancel: Cancel }>();
  return {
    isEmpty: () => queue.size === 0,
    add(attempt) {
      const queued = { attempt, cancel: () => void queue.delete(queued) };
      queue.add(queued);
      return () => queued.cancel();
    },
    sendWith(send) {
      for (const queued of queue) {
        queue.delete(queued);
        const cancel = send(queued.attempt);
        if (cancel === undefined) {
          // Back to its place: the others have been behind it.
          const others = [...queue];
          queue.clear();
          for (const each of [queued, ...others]) queue.add(each);
          return;
        }
        queued.cancel = cancel;
      }
    },
    loseAll(reason) {
      const losing = [...queue];
      for (const queued of losing) {
        if (queue.delete(queued)) queued.attempt.onLost(reason);
      }
    },
  };
}
