/*
 * What a client is told, before the reply is shaped for that client.
 */
import type { CacheEntry } from "../cache/entry.ts";
import type { SoaRecord } from "../wire/denial.ts";

/**
 * Why a question, or a client that would wait for one, is shed: `inflight`, the route is full; `waiters`, too many clients wait on the
 * route; `client`, the client has more than its share; `late`, its turn did not come in time.
 */
export const shedReasons = ["inflight", "waiters", "client", "late"] as const;

/** One of the reasons. The client gets a stale answer, SERVFAIL over TCP, or no reply; never REFUSED, after which musl waits 5 s as well. */
export type ShedReason = (typeof shedReasons)[number];

/** The outcome of a question that was not in the cache. */
export type Answer =
  /** A message; the entry may be the cache's own. TTLs count down from `entry.storedAtMs`, or are all `fixedTtlSeconds` if that is not 0. */
  | {
      readonly kind: "message";
      readonly entry: CacheEntry;
      readonly fixedTtlSeconds: number;
      readonly extendedError: number;
      readonly source: "upstream" | "stale";
    }
  /**
   * NXDOMAIN by a search rule, with the zone's SOA and the TTL that it is given. `expiredAtMs`: what the rule relies on was valid until that
   * moment; undefined while it is valid.
   */
  | {
      readonly kind: "denial";
      readonly soa: SoaRecord;
      readonly ttlSeconds: number;
      readonly extendedError: number;
      readonly expiredAtMs: number | undefined;
    }
  /** No message, only an rcode, with an extended error (RFC 8914) or ExtendedError.none. */
  | { readonly kind: "error"; readonly rcode: number; readonly extendedError: number }
  /** No answer: over UDP, no reply at all; over TCP, SERVFAIL. */
  | { readonly kind: "dropped"; readonly reason: ShedReason };
