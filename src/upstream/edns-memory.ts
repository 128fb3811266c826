/*
 * Whether questions to a server may carry what no client asked for: OPT and AD (RFC 6891 §7, RFC 8906). Some servers answer with an error to
 * it, and some middleboxes swallow it. Both get plain questions until a question of nodens's own shows that they need not, so that no
 * client waits for what may be swallowed again.
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
  /** Whether OPT should be tried again now, by a question of nodens's own; true once, until that has failed. */
  takeRetry(): boolean;
  /** It was answered with an error, or not at all. */
  noteRetryFailed(): void;
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
  let isPlain = false;
  let retryAtMs = Infinity;
  let plainForMs = firstPlainMs;

  function drop(): void {
    isPlain = true;
    retryAtMs = clock.nowMs() + plainForMs;
    plainForMs = Math.min(2 * plainForMs, longestPlainMs);
    onDropped();
  }

  return {
    mayUse: () => !isPlain,
    hasWorked: () => hasWorked,
    noteWorked() {
      hasWorked = true;
      isPlain = false;
      helped = 0;
      plainForMs = firstPlainMs;
    },
    notePlainHelped() {
      helped += 1;
      if (isPlain || (hasWorked && helped < helpedUntilPlain)) return;
      helped = 0;
      hasWorked = false;
      drop();
    },
    takeRetry() {
      if (!isPlain || clock.nowMs() < retryAtMs) return false;
      retryAtMs = Infinity;
      return true;
    },
    noteRetryFailed() {
      if (isPlain) drop();
    },
  };
}
