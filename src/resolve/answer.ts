/*
 * What a client is told, before it is shaped for it.
 */
import type { CacheEntry } from "../cache/entry.ts";
import type { SoaRecord } from "../wire/denial.ts";

/** Why a query is left without a reply. Never REFUSED: musl would wait its five seconds for it as well. */
export type ShedReason = "inflight" | "waiters" | "client";

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
  /** No reply at all. */
  | { readonly kind: "dropped"; readonly reason: ShedReason };
