/*
 * Questions that upstream failed to answer a moment ago (RFC 9520 §3.2): if every client of a broken name asked again at once, it
 * would only stay broken. Kept apart from the answers, and never used while there is one.
 */
import { LRUCache } from "lru-cache";

/** How long failures are remembered: the first TTL doubles with each repetition, up to the maximum. */
export interface FailureLimits {
  readonly firstTtlSeconds: number;
  readonly maxTtlSeconds: number;
}

/** A failure that is still remembered, and the rcode that clients get. Moments are monotonic milliseconds. */
export interface Failure {
  readonly rcode: number;
  /** Until this moment it holds in any case. */
  readonly atLeastUntilMs: number;
  readonly untilMs: number;
  /** How many failures in a row. */
  readonly count: number;
}

/** Remembers failures by question key (wire/question), a bounded number of them: the least recently used is forgotten first. */
export interface FailureMemory {
  /** The failure that still holds at `nowMs`, or undefined. */
  find(key: string, nowMs: number): Failure | undefined;
  /** Like `find`, for onlookers: the failure keeps its place in the order. */
  peek(key: string, nowMs: number): Failure | undefined;
  /** Whether the question was not answered when it was last asked, even if it may be asked again by now. Keeps its place. */
  hasFailed(key: string): boolean;
  /** The keys of all that are remembered, whether they still hold or not. */
  keys(): Iterable<string>;
  /** Remembers one more failure, for at least `minTtlSeconds`. Returns what is remembered. */
  remember(key: string, rcode: number, minTtlSeconds: number, nowMs: number): Failure;
  /** The question was not even asked, because upstream answers nobody: from now on it counts as failed, but does not hold. */
  noteUnasked(key: string, rcode: number, nowMs: number): void;
  /** The question was answered: the next failure is the first again. */
  forget(key: string): void;
  /**
   * Upstream is back: everything may be asked again, but nothing within a second of its failure (RFC 9520 §3.2), because a server that
   * is silent about one name may appear to go and come back because of it.
   */
  relax(nowMs: number): void;
}

const maxFailures = 10_000;

/** The least that RFC 9520 §3.2 allows. */
const minTtlMs = 1000;

/** Creates an empty memory. A later change of `limits` holds from the next failure on. */
export function createFailureMemory(limits: FailureLimits): FailureMemory {
  // By size, not by `max`: that would take the room of all of them at once.
  const failures = new LRUCache<string, Failure>({ maxSize: maxFailures, sizeCalculation: () => 1 });
  let relaxedAtMs = -Infinity;

  function ifHolding(failure: Failure | undefined, nowMs: number): Failure | undefined {
    if (failure === undefined) return undefined;
    const wasRelaxed = failure.atLeastUntilMs - minTtlMs <= relaxedAtMs;
    return nowMs < (wasRelaxed ? failure.atLeastUntilMs : failure.untilMs) ? failure : undefined;
  }

  return {
    // Every question that goes upstream asks here, and hardly ever has anything failed.
    find: (key, nowMs) => (failures.size === 0 ? undefined : ifHolding(failures.get(key), nowMs)),
    hasFailed: (key) => failures.size > 0 && failures.peek(key) !== undefined,
    peek: (key, nowMs) => ifHolding(failures.peek(key), nowMs),
    keys: () => failures.keys(),
    remember(key, rcode, minTtlSeconds, nowMs) {
      const count = (failures.get(key)?.count ?? 0) + 1;
      const backOffSeconds = Math.min(limits.firstTtlSeconds * 2 ** (count - 1), limits.maxTtlSeconds);
      const untilMs = nowMs + Math.max(backOffSeconds, minTtlSeconds) * 1000;
      const failure = { rcode, atLeastUntilMs: nowMs + minTtlMs, untilMs, count };
      failures.set(key, failure);
      return failure;
    },
    noteUnasked(key, rcode, nowMs) {
      if (failures.peek(key) === undefined)
        failures.set(key, { rcode, atLeastUntilMs: nowMs, untilMs: nowMs, count: 0 });
    },
    forget(key) {
      if (failures.size > 0) failures.delete(key);
    },
    relax: (nowMs) => void (relaxedAtMs = nowMs),
  };
}
