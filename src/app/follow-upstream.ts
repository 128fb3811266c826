/*
 * What nodens does when a server goes down or comes back. All nodes of a cluster see that in the same second: what they ask because of it,
 * and nobody waits for, each asks in its own time.
 */
import type { FailureMemory } from "../cache/failure-memory.ts";
import type { Clock } from "../runtime/clock.ts";

/** What it takes. */
export interface FollowParts {
  readonly failures: Pick<FailureMemory, "relax">;
  readonly clock: Clock;
  /** Asks the zone about itself. Never rejects. */
  learn(): Promise<unknown>;
  /** Looks whether the upstream leads back here. Never rejects. */
  watchForLoops(): Promise<void>;
}

/** The zone may have been replaced, but hardly ever is: by then all have asked about it. */
const learnWithinMs = 5000;

/** Creates what is called whenever a server goes down or comes back. */
export function createUpstreamFollower(parts: FollowParts): (isUp: boolean) => void {
  const { failures, clock, learn, watchForLoops } = parts;
  let willLearn = false;

  function learnSoon(): void {
    if (willLearn) return;
    willLearn = true;
    clock.after(Math.random() * learnWithinMs, () => {
      willLearn = false;
      void learn();
    });
  }

  return (isUp) => {
    if (isUp) {
      // What failed while it was away is worth asking again.
      failures.relax(clock.nowMs());
      learnSoon();
    } else {
      // A loop that closed later looks like a server that says nothing.
      void watchForLoops();
    }
  };
}
