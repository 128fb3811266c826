/*
 * How long a path takes to answer (RFC 6298 §2), and so how long it is worth waiting for.
 */

/** What is known of a path's round trip. */
export interface RoundTrip {
  /** Whether anything is known. */
  isKnown(): boolean;
  /** A question sent on an otherwise quiet flow was answered after so long. */
  note(sampleMs: number): void;
  /** How long a question waits before it may be sent again, if others are answered meanwhile. */
  patienceMs(): number;
  /** How long a flow that owes an answer may be silent. Longer than the patience only where the path is known to be that slow. */
  silenceMs(): number;
  /** How long a question waits whose flow goes on answering others: its name is slow, or its packet was lost. */
  slowNameMs(): number;
}

/** Below this, the difference is the scheduler's. */
const leastPatienceMs = 30;

/** Before anything is known: a path inside a cluster answers in a few milliseconds, one over a sea in 300. */
const firstGuessMs = 400;

const longestSlowNameMs = 2000;

/**
 * Answers later than expected are slow names, or what the kernel had to send again on a connection. They say nothing of the path until
 * most of the last ones were late, and then the quickest of them does.
 */
const lateWindow = 16;
const lateUntilBelieved = 12;

/** A path is no slower than a related one by more than a handshake. */
const relatedFactor = 4;

/**
 * Creates an estimate that knows nothing. No question waits longer than `maxWaitMs` before it may be sent again. `related` is another
 * path to the same server, if there is one: until more is known, it says what to expect.
 */
export function createRoundTrip(maxWaitMs: number, related: () => RoundTrip | undefined = () => undefined): RoundTrip {
  let smoothedMs: number | undefined;
  let variationMs = 0;
  // The last samples: 0 for one that was in time.
  const lateSamplesMs: number[] = [];

  function restart(sampleMs: number): void {
    smoothedMs = sampleMs;
    variationMs = sampleMs / 2;
    lateSamplesMs.length = 0;
  }

  /** What to expect while nothing is known of this path, if something is known of the related one. */
  function relatedMs(): number | undefined {
    const other = related();
    return other?.isKnown() === true ? relatedFactor * other.silenceMs() : undefined;
  }

  function timeoutMs(): number {
    if (smoothedMs !== undefined) return smoothedMs + 4 * variationMs;
    return Math.min(firstGuessMs, relatedMs() ?? firstGuessMs);
  }

  return {
    note(sampleMs) {
      // Where the related path is known to be quick, a slow first sample is a loss, or a slow name.
      if (smoothedMs === undefined && sampleMs <= (relatedMs() ?? Infinity)) {
        restart(sampleMs);
        return;
      }
      const isLate = sampleMs > Math.max(leastPatienceMs, timeoutMs());
      lateSamplesMs.push(isLate ? sampleMs : 0);
      if (lateSamplesMs.length > lateWindow) lateSamplesMs.shift();
      if (isLate || smoothedMs === undefined) {
        const lateMs = lateSamplesMs.filter((ms) => ms > 0);
        if (lateMs.length >= lateUntilBelieved) restart(Math.min(...lateMs));
        return;
      }
      variationMs += (Math.abs(smoothedMs - sampleMs) - variationMs) / 4;
      smoothedMs += (sampleMs - smoothedMs) / 8;
    },
    isKnown: () => smoothedMs !== undefined,
    patienceMs: () => Math.min(maxWaitMs, Math.max(leastPatienceMs, timeoutMs())),
    silenceMs: () => Math.min(longestSlowNameMs, Math.max(leastPatienceMs, timeoutMs())),
    slowNameMs: () => Math.min(longestSlowNameMs, Math.max(maxWaitMs, timeoutMs())),
  };
}
