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

interface Queued {
  readonly attempt: Attempt;
  cancel: Cancel;
}

/** Creates an empty queue. */
export function createAttemptQueue(): AttemptQueue {
  // Under load it is asked with each answer whether there is room: the first stays in its place until there is.
  const queue: Queued[] = [];

  /** Takes an attempt out wherever it stands. Returns whether it was there. */
  function takeOut(queued: Queued): boolean {
    const at = queue.indexOf(queued);
    if (at === 0) queue.shift();
    else if (at > 0) queue.splice(at, 1);
    return at >= 0;
  }

  return {
    isEmpty: () => queue.length === 0,
    add(attempt) {
      const queued: Queued = { attempt, cancel: () => void takeOut(queued) };
      queue.push(queued);
      return () => queued.cancel();
    },
    sendWith(send) {
      for (let first = queue[0]; first !== undefined; first = queue[0]) {
        const cancel = send(first.attempt);
        if (cancel === undefined) return;
        takeOut(first);
        first.cancel = cancel;
      }
    },
    loseAll(reason) {
      for (const queued of [...queue]) if (takeOut(queued)) queued.attempt.onLost(reason);
    },
  };
}
