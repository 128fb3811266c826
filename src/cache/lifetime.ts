/*
 * Whether a reply may be kept, as what, and for how long. The policy, in the order in which it is applied:
 *
 *   - a truncated reply is not kept: it is not the whole answer (RFC 2181 §9);
 *   - NXDOMAIN, or NOERROR without data for the type, is a denial. It lives min(SOA TTL, SOA MINIMUM), not longer than any
 *     record beside it, and without the SOA of an enclosing zone it is not kept at all (RFC 2308 §5);
 *   - data is kept only if the answer section is one chain of CNAMEs from the question to records of its type, and nothing
 *     else: a loop, two targets at one owner or an unrelated record is relayed, and forgotten (RFC 2308 §2.1, RFC 5452 §6);
 *   - data lives as long as its shortest TTL, in whichever section (RFC 2181 §5.2);
 *   - what would live 0 seconds is not kept (RFC 1035 §3.2.1). Every other reply code is a failure, not an answer.
 */
import { RrClass, RrType, Rcode } from "../wire/codes.ts";
import { Flag } from "../wire/header.ts";
import { expandName, isAtOrBelow } from "../wire/name.ts";
import { readU16, readU32 } from "../wire/octets.ts";
import type { Question } from "../wire/question.ts";
import type { RecordView, Reply } from "../wire/reply.ts";

/** Upper bounds of lifetimes, in seconds. */
export interface LifetimeLimits {
  readonly maxTtlSeconds: number;
  readonly maxDenialTtlSeconds: number;
}

/** What a reply is to the cache. `ttlSeconds` is 0 for what must not be kept. */
export interface Lifetime {
  readonly kind: "answer" | "denial";
  readonly ttlSeconds: number;
}

/** Longest chain of CNAMEs believed: unbound's limit, far above any in use. */
const maxChainLength = 11;

/** Judges a well-formed reply to `question`. The rcode is NOERROR or NXDOMAIN; others are the caller's to handle. */
export function judgeLifetime(reply: Reply, question: Question, limits: LifetimeLimits): Lifetime {
  const chain = followChain(reply, question);
  const isDenial = reply.rcode === Rcode.NXDOMAIN || chain === undefined || !chain.hasData;
  const kind = isDenial ? "denial" : "answer";
  if (chain === undefined || (reply.flags & Flag.TC) !== 0) return { kind, ttlSeconds: 0 };
  if (!isDenial) return { kind, ttlSeconds: shortestTtl(allRecords(reply), reply, limits.maxTtlSeconds) };
  // Data beside NXDOMAIN contradicts itself.
  if (chain.hasData) return { kind, ttlSeconds: 0 };
  const soaTtlSeconds = denialTtl(reply, chain.end);
  return {
    kind,
    ttlSeconds: shortestTtl(allRecords(reply), reply, Math.min(soaTtlSeconds, limits.maxDenialTtlSeconds)),
  };
}

interface Chain {
  /** The name at the end of the chain: the question's own if there is no CNAME. Folded, wire form. */
  readonly end: Uint8Array;
  readonly hasData: boolean;
}

/** Follows the answer section from the question on. Undefined when it is anything but one chain with its data. */
function followChain(reply: Reply, question: Question): Chain | undefined {
  const chained = reply.answers.filter((record) => isChained(record, question));
  const byOwner = groupByOwner(reply, chained);
  if (byOwner === undefined) return undefined;
  let name = question.name;
  let used = 0;
  for (let length = 0; length <= maxChainLength; length += 1) {
    const records = byOwner.get(ownerKey(name)) ?? [];
    used += records.length;
    const isData = (record: RecordView) => question.type === RrType.ANY || record.type === question.type;
    if (records.every(isData)) {
      const isOneChain = used === chained.length;
      return isOneChain ? { end: name, hasData: records.length > 0 } : undefined;
    }
    const [alias, second] = records;
    if (alias?.type !== RrType.CNAME || second !== undefined) return undefined;
    const target = expandName(reply.packet, alias.dataOffset, reply.packet.length);
    if (typeof target === "number") return undefined;
    name = target;
  }
  return undefined;
}

/** Records of the answer section by owner. Undefined for an unreadable owner. */
function groupByOwner(reply: Reply, chained: readonly RecordView[]): Map<string, RecordView[]> | undefined {
  const byOwner = new Map<string, RecordView[]>();
  // Most owners are the same pointer over and over: each is expanded once, so that the work stays linear in the packet.
  const keyByPointer = new Map<number, string>();
  for (const record of chained) {
    const pointer = readU16(reply.packet, record.owner);
    const known = pointer >= 0xc000 ? keyByPointer.get(pointer) : undefined;
    const owner = known ?? expandName(reply.packet, record.owner, reply.packet.length);
    if (typeof owner === "number") return undefined;
    const key = typeof owner === "string" ? owner : ownerKey(owner);
    if (pointer >= 0xc000) keyByPointer.set(pointer, key);
    const records = byOwner.get(key);
    if (records === undefined) byOwner.set(key, [record]);
    else records.push(record);
  }
  return byOwner;
}

/**
 * Whether a record is part of the chain. Signatures only stand beside what they sign, and a DNAME beside the CNAME made from
 * it (RFC 6672 §3.1), unless they are what was asked for.
 */
function isChained(record: RecordView, question: Question): boolean {
  return record.type === question.type || (record.type !== RrType.RRSIG && record.type !== RrType.DNAME);
}

function ownerKey(name: Uint8Array): string {
  return String.fromCharCode(...name);
}

/** min(SOA TTL, SOA MINIMUM) of the zone that denies `name`, or 0 where no SOA of an enclosing zone says it. */
function denialTtl(reply: Reply, name: Uint8Array): number {
  const soa = reply.authorities.find((record) => record.type === RrType.SOA && record.class === RrClass.IN);
  if (soa === undefined || soa.end - soa.dataOffset < 22) return 0;
  const zone = expandName(reply.packet, soa.owner, reply.packet.length);
  if (typeof zone === "number" || !isAtOrBelow(name, zone)) return 0;
  return Math.min(readU32(reply.packet, soa.ttlOffset), readU32(reply.packet, soa.end - 4));
}

function allRecords(reply: Reply): RecordView[] {
  return [...reply.answers, ...reply.authorities, ...reply.additionals];
}

function shortestTtl(records: readonly RecordView[], reply: Reply, maxSeconds: number): number {
  return records.reduce((least, record) => Math.min(least, readU32(reply.packet, record.ttlOffset)), maxSeconds);
}
