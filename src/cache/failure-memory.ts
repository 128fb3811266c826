/*
 * Questions that upstream failed to answer a moment ago (RFC 9520 §3.2): asked again at once by every client of a broken
 * name, they would only keep it broken. Beside the answers, never in front of them.
 */
import { LRUCache } from "lru-cache";

/** How long failures are remembered: doubling from the first to the maximum while they repeat. */
export interface FailureLimits {
  readonly firstTtlSeconds: number;
  readonly maxTtlSeconds: number;
}

/** A failure that is still remembered, and what its clients are told. */
export interface Failure {
  readonly rcode: number;
  readonly untilMs: number;
  /** How often in a row. */
  readonly count: number;
}

/** Remembers failures by question key; bounded, the least recently seen goes first. */
export interface FailureMemory {
  /** The failure that still holds at `nowMs`. */
  find(key: string, nowMs: number): Failure | undefined;
  /** Remembers one more failure, for at least `minTtlSeconds`. Returns what is remembered. */
  remember(key: string, rcode: number, minTtlSeconds: number, nowMs: number): Failure;
  /** The question was answered. */
  forget(key: string): void;
  /** Upstream is back: everything may be asked again. */
  clear(): void;
}

const maxFailures = 10_000;

/** Creates an empty memory. */
export function createFailureMemory(limits: FailureLimits): FailureMemory {
  const failures = new LRUCache<string, Failure>({ max: maxFailures });
  return {
    find(key, nowMs) {
      const failure = failures.get(key);
      return failure !== undefined && nowMs < failure.untilMs ? failure : undefined;
    },
    remember(key, rcode, minTtlSeconds, nowMs) {
      const count = (failures.get(key)?.count ?? 0) + 1;
      const backOffSeconds = Math.min(limits.firstTtlSeconds * 2 ** (count - 1), limits.maxTtlSeconds);
      const failure = { rcode, untilMs: nowMs + Math.max(backOffSeconds, minTtlSeconds) * 1000, count };
      failures.set(key, failure);
      return failure;
    },
    forget: (key) => void failures.delete(key),
    clear: () => failures.clear(),
  };
}
