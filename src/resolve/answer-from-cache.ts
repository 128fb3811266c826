/*
 * Step: what the cache knows. For most queries the only step: bytes and integers, no promise, no object.
 */
import type { AnswerCache } from "../cache/answer-cache.ts";
import type { CacheEntry } from "../cache/entry.ts";
import { addressTypes } from "../cache/key.ts";
import { Rcode } from "../wire/codes.ts";
import { HeaderOffset, rcodeMask } from "../wire/header.ts";
import { readU16 } from "../wire/octets.ts";
import type { ClientQuery } from "../wire/query.ts";
import type { OutsideNames } from "./answer-outside-name.ts";
import type { QuestionFlights } from "./question-flights.ts";
import type { ForeseeStep, Foresight } from "./step.ts";

/** What the step looks at. `limits` may change while queries run. */
export interface CacheStepParts {
  readonly cache: AnswerCache;
  readonly flights: QuestionFlights;
  readonly outsideNames: OutsideNames;
  readonly limits: { readonly prefetches: boolean };
}

/** The two faces of the step. */
export interface CacheStep {
  /** The fresh entry for a query, which stays the cache's, or undefined. */
  lookup(query: ClientQuery, nowMs: number): CacheEntry | undefined;
  readonly foresee: ForeseeStep;
}

/** A name is popular enough to be fetched ahead of its expiry once it was asked so often while it lived. */
const prefetchHits = 3;

/** Creates the step. `nowMs` is read by the onlooker alone. */
export function createCacheStep(parts: CacheStepParts, nowMs: () => number): CacheStep {
  const { cache, limits, outsideNames } = parts;
  return {
    lookup(query, now) {
      const entry = cache.find(query, now);
      if (entry === undefined || leavesToOutsideName(entry)) return undefined;
      entry.hits += 1;
      if (now >= entry.refreshAtMs && entry.hits >= prefetchHits && limits.prefetches) parts.flights.prefetch(entry);
      return entry;
    },
    foresee({ query }) {
      const now = nowMs();
      const entry = cache.peek(query, now);
      return entry === undefined || leavesToOutsideName(entry) ? undefined : describeEntry(entry, now);
    },
  };

  /** Whether a denied name is answered with the outside name behind it takes more than a look. */
  function leavesToOutsideName(entry: CacheEntry): boolean {
    return entry.type === addressTypes && outsideNames.mayAnswer();
  }
}

/** What a client is told from this entry. */
export function describeEntry(entry: CacheEntry, nowMs: number): Foresight {
  const ttlSeconds = Math.max(0, Math.ceil((entry.expiresAtMs - nowMs) / 1000));
  if (entry.kind === "answer") return { kind: "cached", verdict: "data", ttlSeconds };
  const isDenied = (readU16(entry.octets, HeaderOffset.flags) & rcodeMask) === Rcode.NXDOMAIN;
  return { kind: "cached", verdict: isDenied ? "denied" : "noData", ttlSeconds };
}
