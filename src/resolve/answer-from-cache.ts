/*
 * Step: answer from the cache. For most queries this is the only step: bytes and integers, no promise, no object.
 */
import type { AnswerCache } from "../cache/answer-cache.ts";
import { type CacheEntry, rcodeOf } from "../cache/entry.ts";
import { addressTypes } from "../cache/key.ts";
import { Rcode } from "../wire/codes.ts";
import type { ClientQuery } from "../wire/query.ts";
import type { OutsideNames } from "./outside-names.ts";
import type { QuestionFlights } from "./question-flights.ts";
import type { ForeseeStep, Foresight } from "./step.ts";

/** What the step reads. `limits` may change while queries run. */
export interface CacheStepParts {
  readonly cache: AnswerCache;
  readonly flights: QuestionFlights;
  readonly outsideNames: OutsideNames;
  readonly limits: { readonly prefetches: boolean };
}

/** The step, for listeners and for the onlooker. */
export interface CacheStep {
  /** The fresh entry for a query, which still belongs to the cache, or undefined. Counts the hit, and may start a prefetch. */
  lookup(query: ClientQuery, nowMs: number): CacheEntry | undefined;
  readonly foresee: ForeseeStep;
}

/** An entry is worth fetching ahead of its expiry once it has been used this often. */
const prefetchHits = 3;

/** Creates the step. Only the onlooker reads `nowMs`. */
export function createCacheStep(parts: CacheStepParts, nowMs: () => number): CacheStep {
  const { cache, limits, outsideNames } = parts;
  return {
    lookup(query, now) {
      const entry = cache.find(query, now);
      if (entry === undefined || leavesToOutsideName(entry)) return undefined;
      if (now >= entry.refreshAtMs && entry.hits >= prefetchHits && limits.prefetches) parts.flights.prefetch(entry);
      return entry;
    },
    foresee({ query }) {
      const now = nowMs();
      const entry = cache.peek(query, now);
      return entry === undefined || leavesToOutsideName(entry) ? undefined : describeEntry(entry, now);
    },
  };

  /** Whether to pass over a denied name, because a later step may answer it with the outside name behind it. */
  function leavesToOutsideName(entry: CacheEntry): boolean {
    return entry.type === addressTypes && outsideNames.mayAnswer();
  }
}

/** What a client is told from this entry at `nowMs`, with the TTL rounded up to whole seconds. */
export function describeEntry(entry: CacheEntry, nowMs: number): Foresight {
  const ttlSeconds = Math.max(0, Math.ceil((entry.expiresAtMs - nowMs) / 1000));
  if (entry.kind === "answer") return { kind: "cached", verdict: "data", ttlSeconds };
  return { kind: "cached", verdict: rcodeOf(entry) === Rcode.NXDOMAIN ? "denied" : "noData", ttlSeconds };
}
