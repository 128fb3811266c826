/*
 * How long a path takes to answer (RFC 6298 §2), and so how long an answer is worth waiting for.
 */

/** What is known about a path's round trip. */
export interface RoundTrip {
  /** Whether anything is known. */
  isKnown(): boolean;
  /** Notes how long a question took whose answer did not wait behind another. */
  note(sampleMs: number): void;
  /** Notes how long a question took during which others were answered on its flow, the last of them so long after it was sent. */
  noteBehind(sampleMs: number, behindMs: number): void;
  /**
   * Whether questions wait for those before them on their flow, as where a server answers one after the other. Undefined as long as that has
   * not been seen.
   */
  isQueueing(): boolean | undefined;
  /** Whether one question may now be let wait, to see whether that still takes longer. True once in many answers that waited for none. */
  takeTrial(): boolean;
  /** How long a question waits before it may be sent again, if others are answered meanwhile. */
  patienceMs(): number;
  /** How long a flow that owes an answer may be silent. Longer than the patience only if the path is known to be that slow. */
  silenceMs(): number;
  /** How long a question waits whose flow goes on answering others: the name is slow, or the packet was lost. */
  slowNameMs(): number;
}

/** Differences below this come from the scheduler. */
const leastPatienceMs = 30;

/** Used before anything is known: a path inside a cluster answers in a few milliseconds, one across an ocean in 300. */
const firstGuessMs = 400;

const longestSlowNameMs = 2000;

/**
 * Answers later than expected come from slow names, or from what the kernel had to send again on a connection. They say nothing about the
 * path until most of the latest were late; then the quickest of the late ones is believed.
 */
const lateWindow = 16;
const lateUntilBelieved = 12;

/** A question that takes longer by less than this than one alone has waited for no other: that is the scheduler. */
const leastQueueMs = 1;

/** Of the time that a question stands behind others it waits all where answers come one after the other, and nothing where they do not. */
const queueingShare = 0.5;

/** After so many answers that came behind no other it is tried once what a question takes that does: servers are replaced. */
const trialAfter = 1000;

/** How many times slower than a related path a path is expected to be at most: it may need a handshake more. */
const relatedFactor = 4;

/**
 * Creates an estimate that knows nothing yet. No question waits longer than `maxWaitMs` before it may be sent again. `related` returns the
 * estimate of another path to the same server, if there is one, which says what to expect until more is known.
 */
export function createRoundTrip(maxWaitMs: number, related: () => RoundTrip | undefined = () => undefined): RoundTrip {
  let smoothedMs: number | undefined;
  let variationMs = 0;
  let waitedShare: number | undefined;
  let alone = 0;
  // The latest samples; 0 stands for one that was not late.
  const lateSamplesMs: number[] = [];

  function restart(sampleMs: number): void {
    smoothedMs = sampleMs;
    variationMs = sampleMs / 2;
    lateSamplesMs.length = 0;
  }

  /** What to expect of this path as long as only the related one is known; undefined if that is not known either. */
  function relatedMs(): number | undefined {
    const other = related();
    return other?.isKnown() === true ? relatedFactor * other.silenceMs() : undefined;
  }

  function timeoutMs(): number {
    if (smoothedMs !== undefined) return smoothedMs + 4 * variationMs;
    return Math.min(firstGuessMs, relatedMs() ?? firstGuessMs);
  }

  function isQueueing(): boolean | undefined {
    return waitedShare === undefined ? undefined : waitedShare > queueingShare;
  }

  return {
    note(sampleMs) {
      alone += 1;
      // If the related path is known to be quick, a slow first sample comes from a loss or a slow name.
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
    noteBehind(sampleMs, behindMs) {
      // Who stood behind the end of another's wait could not have waited long.
      if (smoothedMs === undefined || behindMs < smoothedMs / 4) return;
      // So short a wait cannot be told from none: it says nothing against what longer ones have shown.
      if (isQueueing() === true && behindMs < 2 * leastQueueMs) return;
      const waitedMs = sampleMs - smoothedMs;
      const share = waitedMs < leastQueueMs ? 0 : Math.min(1, waitedMs / behindMs);
      waitedShare = waitedShare === undefined ? share : waitedShare + (share - waitedShare) / 4;
    },
    isQueueing,
    takeTrial() {
      if (alone < trialAfter) return false;
      alone = 0;
      return true;
    },
    patienceMs: () => Math.min(maxWaitMs, Math.max(leastPatienceMs, timeoutMs())),
    silenceMs: () => Math.min(longestSlowNameMs, Math.max(leastPatienceMs, timeoutMs())),
    slowNameMs: () => Math.min(longestSlowNameMs, Math.max(maxWaitMs, timeoutMs())),
  };
}
