/*
 * What a client is told, before it is shaped for it.
 */
import type { CacheEntry } from "../cache/entry.ts";
import type { SoaRecord } from "../wire/denial.ts";

/**
 * Which bound stood against a question or whoever waits for it: `inflight` the route's, `waiters` that on all who wait, `client` that a
 * client has more than its share, `late` that its turn did not come in time.
 */
export const shedReasons = ["inflight", "waiters", "client", "late"] as const;

/** One of them. Clients get a stale answer, SERVFAIL over TCP, or silence; never REFUSED, for which musl would wait its five seconds too. */
export type ShedReason = (typeof shedReasons)[number];

/** The outcome of a question that was not in the cache. */
export type Answer =
  /** A message. TTLs count down from `entry.storedAtMs`, unless `fixedTtlSeconds` is not 0: then they are all that. */
  | {
      readonly kind: "message";
      readonly entry: CacheEntry;
      readonly fixedTtlSeconds: number;
      readonly extendedError: number;
      readonly source: "upstream" | "stale";
    }
  /** NXDOMAIN by a search rule, with the zone's SOA. */
  | { readonly kind: "denial"; readonly soa: SoaRecord; readonly ttlSeconds: number }
  /** No message: only a reply code, with an extended error (RFC 8914) or ExtendedError.none. */
  | { readonly kind: "error"; readonly rcode: number; readonly extendedError: number }
  /** No answer: over UDP no reply at all. */
  | { readonly kind: "dropped"; readonly reason: ShedReason };
