/*
 * Whether a server is worth asking first: whether it answers at all, and with more than refusals. A server that is down is asked clients'
 * questions only if no other is up: better a last try than a black hole.
 */
import type { Clock } from "../runtime/clock.ts";

/** What is known about one server. */
export interface ServerHealth {
  /** Whether some path to it works, as far as is known. */
  isUp(): boolean;
  /** Whether it has recently refused several questions in a row. */
  isRefusing(): boolean;
  /** The server said something, whatever it was. */
  noteHeard(): void;
  /** No path to the server works. */
  noteDown(): void;
  /** The server answered a question, or refused to. */
  noteVerdict(isRefusal: boolean): void;
}

/** After this many refusals in a row, the reason is the server and not the names. */
const refusalsUntilLeft = 3;

const firstLeaveMs = 5000;
const longestLeaveMs = 60_000;

/** Creates the health of a server that is taken to be up. `onChange` is called when it goes down and when it comes back. */
export function watchServerHealth(clock: Clock, onChange: (isUp: boolean) => void): ServerHealth {
  let isUp = true;
  let refusals = 0;
  let leaveMs = firstLeaveMs;
  let leftUntilMs = -Infinity;

  return {
    isUp: () => isUp,
    isRefusing: () => clock.nowMs() < leftUntilMs,
    noteHeard() {
      if (isUp) return;
      isUp = true;
      onChange(true);
    },
    noteDown() {
      if (!isUp) return;
      isUp = false;
      onChange(false);
    },
    noteVerdict(isRefusal) {
      if (!isRefusal) {
        refusals = 0;
        leaveMs = firstLeaveMs;
        leftUntilMs = -Infinity;
        return;
      }
      refusals += 1;
      if (refusals < refusalsUntilLeft) return;
      // Once the time is over, a single refusal is enough again.
      refusals = refusalsUntilLeft - 1;
      leftUntilMs = clock.nowMs() + leaveMs;
      leaveMs = Math.min(2 * leaveMs, longestLeaveMs);
    },
  };
}
