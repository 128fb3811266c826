/*
 * Attempts that no flow has room for yet. They wait here, where they can still go to any flow.
 */
import type { Attempt, Cancel } from "../flows/attempt.ts";
import type { LossReason } from "../flows/loss-reason.ts";

/** Waiting attempts, first come, first served. */
export interface AttemptQueue {
  isEmpty(): boolean;
  /** Adds an attempt. Cancelling works wherever the attempt is by then, in the queue or on a flow. */
  add(attempt: Attempt): Cancel;
  /** Sends attempts as long as `send` takes them; it returns undefined when there is no room. */
  sendWith(send: (attempt: Attempt) => Cancel | undefined): void;
  /** Reports lost all attempts that wait now, except those that an earlier loss cancels; attempts added meanwhile stay. */
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
          // Back to its place, ahead of the others.
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
