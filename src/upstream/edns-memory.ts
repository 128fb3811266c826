/*
 * Whether questions to a server may carry what no client asked for: OPT and AD (RFC 6891 §7, RFC 8906). Some servers answer with an error to
 * it, and some middleboxes swallow it. Both get plain questions for a while.
 */
import type { Clock } from "../runtime/clock.ts";

/** What is known about one server's EDNS. */
export interface EdnsMemory {
  /** Whether the next question may carry OPT and AD. */
  mayUse(): boolean;
  /** Whether a question with OPT has been answered since OPT was last given up. */
  hasWorked(): boolean;
  /** A question with OPT was answered. */
  noteWorked(): void;
  /** A plain question was answered after the same question with OPT was not. */
  notePlainHelped(): void;
}

/**
 * How long a server gets plain questions before OPT is tried again: the server, or what is in front of it, may have been upgraded. Short the
 * first time, since it may have been chance; then the time doubles.
 */
const firstPlainMs = 60_000;
const longestPlainMs = 600_000;

/** How often plain questions must help where OPT has worked before: one packet may be lost, one name may be odd. */
const helpedUntilPlain = 2;

/** Creates an empty memory. `onDropped` is called whenever OPT is given up. */
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
      // Once that time is over, a single failure is enough again.
      hasWorked = false;
      onDropped();
    },
  };
}
