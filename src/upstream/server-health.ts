/*
 * Whether a server is worth asking first: whether it answers at all, and whether it answers with more than refusals. A server that is
 * down is asked by clients only when no other is up: better a last try than a black hole.
 */
import type { Clock } from "../runtime/clock.ts";

/** What is known of one server. */
export interface ServerHealth {
  isUp(): boolean;
  /** Whether it refused the last questions, one after the other, not long ago. */
  isRefusing(): boolean;
  /** Whether it ever answered anything. */
  hasAnswered(): boolean;
  /** It said something, whatever it was. */
  noteHeard(): void;
  /** No path to it works. */
  noteDown(): void;
  /** It answered a question, or would not. */
  noteVerdict(isRefusal: boolean): void;
}

/** So many refusals in a row are the server's, not the names'. */
const refusalsUntilLeft = 3;

const firstLeaveMs = 5000;
const longestLeaveMs = 60_000;

/** Watches one server; `onChange` is told when it goes down and when it comes back. */
export function watchServerHealth(clock: Clock, onChange: (isUp: boolean) => void): ServerHealth {
  let isUp = true;
  let hasAnswered = false;
  let refusals = 0;
  let leaveMs = firstLeaveMs;
  let leftUntilMs = -Infinity;

  return {
    isUp: () => isUp,
    isRefusing: () => clock.nowMs() < leftUntilMs,
    hasAnswered: () => hasAnswered,
    noteHeard() {
      hasAnswered = true;
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
      // The next one after the time is over will do: it may still refuse.
      refusals = refusalsUntilLeft - 1;
      leftUntilMs = clock.nowMs() + leaveMs;
      leaveMs = Math.min(2 * leaveMs, longestLeaveMs);
    },
  };
}
