/*
 * When two replies to one question say the same. What a client acts on counts: the code, and the set of records in the answer section. Order,
 * TTLs, letter case, repeated records, and what else a server adds do not.
 */
import { Rcode, RrType } from "../wire/codes.ts";
import { soaOf } from "../wire/denial.ts";
import { Flag } from "../wire/header.ts";
import { expandName } from "../wire/name.ts";
import { readU32 } from "../wire/octets.ts";
import { uncompressedData } from "../wire/record.ts";
import { parseReply, type RecordView, type Reply } from "../wire/reply.ts";

/** What a reply says, in numbers. */
export interface ReplyDigest {
  /** With the upper bits from OPT. */
  readonly rcode: number;
  /** TC: part of it was left out. */
  readonly isCut: boolean;
  /** A hash of each record of the answer section, ascending, each once. */
  readonly records: readonly number[];
  /** For how many seconds it may be kept: its shortest TTL, or that of the denial. */
  readonly lifeSeconds: number;
}

/** More records than these are not compared. */
const mostRecords = 256;

/** What a reply (from its header on) says; undefined if it cannot be read to its end. */
export function digestOf(packet: Uint8Array): ReplyDigest | undefined {
  const reply = parseReply(packet);
  return typeof reply === "number" ? undefined : digestOfReply(reply);
}

/** The same of a reply that was read already. */
export function digestOfReply(reply: Reply): ReplyDigest {
  const { packet, answers, flags, rcode } = reply;
  const compared = answers.slice(0, mostRecords);
  const hashes = new Set(compared.map((record) => hashOf(record, packet)));
  return {
    rcode,
    isCut: (flags & Flag.TC) !== 0,
    records: [...hashes].toSorted((one, other) => one - other),
    lifeSeconds:
      compared.length > 0
        ? Math.min(...compared.map(({ ttlOffset }) => readU32(packet, ttlOffset)))
        : (soaOf(reply)?.denialTtlSeconds ?? 0),
  };
}

/** How two replies to one question stand to each other: `partial` have some records in common, and neither has none. */
export function relationOf(one: ReplyDigest, other: ReplyDigest): "same" | "partial" | "different" {
  if (one.rcode !== other.rcode) return "different";
  const shared = one.records.filter((hash) => other.records.includes(hash)).length;
  if (shared === one.records.length && shared === other.records.length) return "same";
  return shared > 0 ? "partial" : "different";
}

/** Whether it is an answer: data, NODATA or NXDOMAIN. Everything else says that the server could not tell. */
export function isAnswer({ rcode }: ReplyDigest): boolean {
  return rcode === Rcode.NOERROR || rcode === Rcode.NXDOMAIN;
}

/** FNV-1a over owner, type, class and data. Addresses and short names, so a hash of 32 bits is enough to tell the records of a name apart. */
function hashOf(record: RecordView, packet: Uint8Array): number {
  const owner = expandName(packet, record.owner, packet.length);
  const data = uncompressedData(record, packet) ?? packet.subarray(record.dataOffset, record.end);
  let hash = typeof owner === "number" ? basis : mix(basis, owner);
  hash = Math.imul(hash ^ record.type, prime);
  hash = Math.imul(hash ^ record.class, prime);
  // A signature is new with every signing, and means the same.
  return record.type === RrType.RRSIG ? hash >>> 0 : mix(hash, data) >>> 0;
}

const basis = 0x811c_9dc5 | 0;
const prime = 0x0100_0193;

function mix(start: number, octets: Uint8Array): number {
  let hash = start;
  for (const octet of octets) hash = Math.imul(hash ^ octet, prime);
  return hash;
}
