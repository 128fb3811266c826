/*
 * Whether a server may be asked with what no client asked for: OPT and AD (RFC 6891 §7, RFC 8906). There are servers that answer
 * an error to it, and middleboxes that swallow it. Both get plain questions for a while.
 */
import type { Clock } from "../runtime/clock.ts";

/** What is known of one server. */
export interface EdnsMemory {
  /** Whether the next question may carry OPT and AD. */
  mayUse(): boolean;
  /** Whether a question with OPT was ever answered, as far as that still counts. */
  hasWorked(): boolean;
  /** A question with OPT was answered. */
  noteWorked(): void;
  /** A question was answered plain that had not been answered with OPT. */
  notePlainHelped(): void;
}

/**
 * How long a server is asked plainly before OPT is tried on it again: it, or what is in front of it, may have been renewed. The
 * first time is short, for it may have been chance; it doubles.
 */
const firstPlainMs = 60_000;
const longestPlainMs = 600_000;

/** So often plain must have helped where OPT had worked before: one packet may be lost, one name may be odd. */
const helpedUntilPlain = 2;

/** Creates a memory of nothing. `onDropped` is told whenever OPT is given up. */
export function createEdnsMemory(clock: Clock, onDropped: () => void): EdnsMemory {
  let hasWorked = false;
  let helped = 0;
  let plainUntilMs = -Infinity;
  let plainForMs = firstPlainMs;

  const mayUse = () => clock.nowMs() >= plainUntilMs;

  return {
    mayUse,
    hasWorked: () => hasWorked,
    noteWorked() {
      hasWorked = true;
      helped = 0;
      plainForMs = firstPlainMs;
    },
    notePlainHelped() {
      helped += 1;
      if (!mayUse() || (hasWorked && helped < helpedUntilPlain)) return;
      plainUntilMs = clock.nowMs() + plainForMs;
      plainForMs = Math.min(2 * plainForMs, longestPlainMs);
      helped = 0;
      // Once the time is over, a single failure will do again.
      hasWorked = false;
      onDropped();
    },
  };
}
