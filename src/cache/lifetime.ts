/*
 * Whether a reply may be kept, as what, and for how long. The policy:
 *
 *   - a truncated reply is not kept: it is not the whole answer (RFC 2181 §9);
 *   - NXDOMAIN, or NOERROR without data for the type, is a denial. It lives for min(SOA TTL, SOA MINIMUM), no longer than any record
 *     in the reply (RFC 2308 §5), and for at most 5 s without the SOA of an enclosing zone. A referral denies nothing;
 *   - data is kept only if the answer section is one chain of CNAMEs from the question to records of its type, and nothing
 *     else: a loop, two targets for one owner or an unrelated record is relayed and forgotten (RFC 2308 §2.1, RFC 5452 §6);
 *   - data lives as long as the shortest TTL in the reply, in whichever section (RFC 2181 §5.2);
 *   - what would live for 0 seconds is not kept (RFC 1035 §3.2.1). Any other rcode is a failure, not an answer.
 */
import { followChain } from "../wire/answer-chain.ts";
import { RrClass, RrType, Rcode } from "../wire/codes.ts";
import { Flag } from "../wire/header.ts";
import { expandName, isAtOrBelow } from "../wire/name.ts";
import { readU32 } from "../wire/octets.ts";
import type { Question } from "../wire/question.ts";
import type { RecordView, Reply } from "../wire/reply.ts";

/** Upper bounds of lifetimes, in seconds. */
export interface LifetimeLimits {
  readonly maxTtlSeconds: number;
  readonly maxDenialTtlSeconds: number;
}

/** What a reply is to the cache. `ttlSeconds` is 0 for a reply that must not be kept. */
export interface Lifetime {
  readonly kind: "answer" | "denial";
  readonly ttlSeconds: number;
}

/**
 * The longest life of a denial without an SOA to vouch for it. RFC 2308 §5 would not keep it at all, but cloud resolvers deny the names
 * under their search suffix like this at every lookup, and so does kube-dns the other address type of an ExternalName.
 */
const maxUnprovenTtlSeconds = 5;

/**
 * Judges a well-formed reply to `question`. Its rcode is NOERROR or NXDOMAIN; others are the caller's to handle. `chain` is that of the
 * reply, for a caller that has followed it already.
 */
export function judgeLifetime(
  reply: Reply,
  question: Question,
  limits: LifetimeLimits,
  chain = followChain(reply, question),
): Lifetime {
  const isDenial = reply.rcode === Rcode.NXDOMAIN || chain === undefined || chain.data.length === 0;
  const kind = isDenial ? "denial" : "answer";
  if (chain === undefined || (reply.flags & Flag.TC) !== 0) return { kind, ttlSeconds: 0 };
  if (!isDenial) return { kind, ttlSeconds: shortestTtl(reply, limits.maxTtlSeconds) };
  // Data beside NXDOMAIN contradicts itself.
  if (chain.data.length > 0) return { kind, ttlSeconds: 0 };
  const ownSeconds = denialTtl(reply, chain.end);
  return {
    kind,
    ttlSeconds: shortestTtl(reply, Math.min(ownSeconds, limits.maxDenialTtlSeconds)),
  };
}

/** Whether a reply is neither data nor a denial that any zone vouches for: no reason to throw away what was known before. */
export function provesNothing(reply: Reply, { kind }: Lifetime): boolean {
  if (kind === "answer" || reply.rcode !== Rcode.NOERROR) return false;
  return !reply.authorities.some(({ type }) => type === RrType.SOA);
}

/** min(SOA TTL, SOA MINIMUM) of the zone that denies `name`; a few seconds without the SOA of an enclosing zone. */
function denialTtl(reply: Reply, name: Uint8Array): number {
  const soa = enclosingSoa(reply, name);
  if (soa !== undefined) return Math.min(readU32(reply.packet, soa.ttlOffset), readU32(reply.packet, soa.end - 4));
  return isNoAnswer(reply) ? 0 : maxUnprovenTtlSeconds;
}

/** The SOA of a zone at or above `name`. */
function enclosingSoa(reply: Reply, name: Uint8Array): RecordView | undefined {
  const soa = reply.authorities.find((record) => record.type === RrType.SOA && record.class === RrClass.IN);
  if (soa === undefined || soa.end - soa.dataOffset < 22) return undefined;
  const zone = expandName(reply.packet, soa.owner, reply.packet.length);
  return typeof zone === "number" || !isAtOrBelow(name, zone) ? undefined : soa;
}

/** A referral, or the empty reply of a server that has nothing to do with the zone (RFC 2308 §2.2, RFC 8499 "lame delegation"). */
function isNoAnswer(reply: Reply): boolean {
  if (reply.rcode !== Rcode.NOERROR) return false;
  const isLame = (reply.flags & (Flag.AA | Flag.RA)) === 0;
  const hasSoa = reply.authorities.some(({ type }) => type === RrType.SOA);
  return isLame || (!hasSoa && reply.authorities.some(({ type }) => type === RrType.NS));
}

/** The shortest TTL of all records, or `maxSeconds` if that is shorter. */
function shortestTtl({ packet, answers, authorities, additionals }: Reply, maxSeconds: number): number {
  return leastTtl(packet, additionals, leastTtl(packet, authorities, leastTtl(packet, answers, maxSeconds)));
}

function leastTtl(packet: Uint8Array, records: readonly RecordView[], maxSeconds: number): number {
  let least = maxSeconds;
  for (const { ttlOffset } of records) least = Math.min(least, readU32(packet, ttlOffset));
  return least;
}
