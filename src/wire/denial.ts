/*
 * Synthesised denials: NXDOMAIN with the zone's own SOA, as RFC 2308 §3 requires, without a stored message.
 */
import { ExtendedError, Rcode, RrType } from "./codes.ts";
import { optSizeFor, writeOpt } from "./edns.ts";
import { Flag, HeaderOffset, headerSizeBytes } from "./header.ts";
import { expandName } from "./name.ts";
import { readU32, writeU16, writeU32 } from "./octets.ts";
import type { ClientQuery } from "./query.ts";
import { composeRecord, uncompressedData } from "./record.ts";
import type { Reply } from "./reply.ts";

/**
 * A zone's SOA as a whole record, uncompressed, ready to be copied into any reply:
 *
 *      | owner | 00 06 00 01 | TTL | length | MNAME | RNAME | serial refresh retry expire minimum |
 */
export interface SoaRecord {
  /** Shared by all that it is handed to, and never changed. */
  readonly octets: Uint8Array;
  /** The offset of its TTL in `octets`. */
  readonly ttlOffset: number;
  /** min(TTL, MINIMUM) as the zone sent it (RFC 2308 §5). */
  readonly denialTtlSeconds: number;
}

/** The first SOA in a reply's authority section, copied and uncompressed. Undefined if there is none, or if it is malformed. */
export function soaOf(reply: Reply): SoaRecord | undefined {
  const { packet } = reply;
  const record = reply.authorities.find(({ type }) => type === RrType.SOA);
  if (record === undefined) return undefined;
  const owner = expandName(packet, record.owner, packet.length);
  const data = uncompressedData(record, packet);
  if (typeof owner === "number" || data === undefined) return undefined;
  const ttlSeconds = readU32(packet, record.ttlOffset);
  const octets = composeRecord(owner, RrType.SOA, ttlSeconds, data);
  const minimumSeconds = readU32(octets, octets.length - 4);
  return { octets, ttlOffset: owner.length + 4, denialTtlSeconds: Math.min(ttlSeconds, minimumSeconds) };
}

/** The name of the zone whose SOA it is, folded. */
export function soaOwner({ octets, ttlOffset }: SoaRecord): Uint8Array {
  return octets.subarray(0, ttlOffset - 4);
}

/**
 * Writes NXDOMAIN for `query` into `target` and returns its size: the question in the client's spelling, the SOA with its TTL set to
 * `ttlSeconds`, and OPT if the client sent one, with the extended error. AA is set, as the zone itself would set it. The size is
 * 12 + 259 + 545 + 17 octets at
 * most; if it would exceed `limitBytes`, the SOA is left out and TC is set.
 */
export function composeDenial(
  target: Uint8Array,
  query: ClientQuery,
  soa: SoaRecord,
  ttlSeconds: number,
  limitBytes: number,
  extendedError: number = ExtendedError.none,
): number {
  const optSize = query.hasEdns ? optSizeFor(extendedError) : 0;
  const hasRoom = query.questionEnd + soa.octets.length + optSize <= limitBytes;
  const echoed = query.flags & (Flag.RD | Flag.CD);
  writeU16(target, HeaderOffset.id, query.id);
  writeU16(target, HeaderOffset.flags, Flag.QR | Flag.AA | Flag.RA | echoed | (hasRoom ? 0 : Flag.TC) | Rcode.NXDOMAIN);
  writeU16(target, HeaderOffset.questionCount, 1);
  writeU16(target, HeaderOffset.answerCount, 0);
  writeU16(target, HeaderOffset.authorityCount, hasRoom ? 1 : 0);
  writeU16(target, HeaderOffset.additionalCount, query.hasEdns ? 1 : 0);
  for (let at = headerSizeBytes; at < query.questionEnd; at += 1) target[at] = query.packet[at] as number;
  let end = query.questionEnd;
  if (hasRoom) {
    target.set(soa.octets, end);
    writeU32(target, end + soa.ttlOffset, ttlSeconds);
    end += soa.octets.length;
  }
  return query.hasEdns ? writeOpt(target, end, 0, query.dnssecOk, extendedError) : end;
}
