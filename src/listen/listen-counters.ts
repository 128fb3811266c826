/*
 * What one listening socket has seen, as plain integers: the hot path adds, Prometheus reads.
 */
import type { ServerAddress } from "../runtime/server-address.ts";
import type { ShedReason } from "../resolve/answer.ts";
import { createHistogram, type Histogram, sizeBoundsBytes, timeBoundsSeconds } from "../runtime/histogram.ts";
import { RrType, typeName } from "../wire/codes.ts";
import { faultNames } from "../wire/fault.ts";

/** Where a reply came from. */
export const ReplySource = {
  /** Fresh from the cache. */
  cache: 0,
  /** From upstream, asked for this query or for another one. */
  upstream: 1,
  /** An expired answer, because upstream failed or took too long. */
  stale: 2,
  /** An error of nodens's own: the query was malformed or refused, or upstream failed. */
  error: 3,
  /** NXDOMAIN by a search rule, without asking upstream. */
  rule: 4,
} as const;

/** The names of the sources, by number. */
export const replySourceNames: readonly string[] = Object.keys(ReplySource);

/** Why a query got no reply. */
export type DropReason = "denied" | "malformed" | ShedReason | "closed";

/** Counters of one socket. */
export interface ListenCounters {
  readonly address: ServerAddress;
  readonly protocol: "udp" | "tcp";
  /** By typeSlot. */
  readonly requestsByType: Float64Array;
  /** By `rcode * replySourceNames.length + source`. Rcodes are 0 to 15, and 16 for BADVERS. */
  readonly replies: Float64Array;
  /** By the fault's number without its sign. */
  readonly faults: Float64Array;
  /** Queries with the DO bit. */
  dnssecOk: number;
  /** Replies with TC. */
  truncated: number;
  /** Queries that got no reply, and for "denied" also connections. */
  readonly drops: Record<DropReason, number>;
  /** Replies that the kernel did not take, over UDP: a rule of the node forbids them, or anything else. */
  readonly unsent: Record<"forbidden" | "other", number>;
  /** From receiving a query to answering it, in seconds, by source. */
  readonly durations: readonly Histogram[];
  readonly requestSizes: Histogram;
  readonly replySizes: Histogram;
  /** TCP only, like the rest. This one goes up and down. */
  openConnections: number;
  /** Connections of clients, without nodens's own. */
  acceptedConnections: number;
  /** Closed to make room for others. */
  evictedConnections: number;
  /** Closed because too much was kept for them. */
  overflowedConnections: number;
}

/** The types that have a metric label of their own, as in CoreDNS; all others share the last slot. */
export const countedTypes: readonly number[] = [
  RrType.A,
  RrType.AAAA,
  RrType.CNAME,
  RrType.DNSKEY,
  RrType.DS,
  RrType.MX,
  RrType.NSEC,
  RrType.NSEC3,
  RrType.NS,
  RrType.PTR,
  RrType.RRSIG,
  RrType.SOA,
  RrType.SRV,
  RrType.TXT,
  RrType.HTTPS,
  RrType.SVCB,
  RrType.IXFR,
  RrType.AXFR,
  RrType.ANY,
];

/** The metric labels of `requestsByType`, by slot. */
export const countedTypeNames: readonly string[] = [...countedTypes.map(typeName), "other"];

/** The number of rcodes that `replies` tells apart. */
export const countedRcodes = 17;

/** Creates the counters of the socket on `address`, all 0. */
export function createListenCounters(address: ServerAddress, protocol: "udp" | "tcp"): ListenCounters {
  return {
    address,
    protocol,
    requestsByType: new Float64Array(countedTypeNames.length),
    replies: new Float64Array(countedRcodes * replySourceNames.length),
    faults: new Float64Array(faultNames.length),
    dnssecOk: 0,
    truncated: 0,
    drops: { denied: 0, malformed: 0, inflight: 0, waiters: 0, client: 0, late: 0, closed: 0 },
    unsent: { forbidden: 0, other: 0 },
    durations: replySourceNames.map(() => createHistogram(timeBoundsSeconds)),
    requestSizes: createHistogram(sizeBoundsBytes),
    replySizes: createHistogram(sizeBoundsBytes),
    openConnections: 0,
    acceptedConnections: 0,
    evictedConnections: 0,
    overflowedConnections: 0,
  };
}

/** The slot of a type in `requestsByType`. */
export function typeSlot(type: number): number {
  return type < slotByType.length ? (slotByType[type] as number) : countedTypes.length;
}

/** Adds 1 to a slot of a counter array. The slot must exist. */
export function countUp(counts: Float64Array, slot: number): void {
  counts[slot] = (counts[slot] as number) + 1;
}

const slotByType = Uint8Array.from({ length: 256 }, (_, type) => {
  const slot = countedTypes.indexOf(type);
  return slot < 0 ? countedTypes.length : slot;
});
