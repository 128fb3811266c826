/*
 * A client's query, read in place. One view is refilled for every packet, so that a cache hit allocates nothing.
 */
import { RrClass, RrType } from "./codes.ts";
import { Fault } from "./fault.ts";
import { Flag, HeaderOffset, headerSizeBytes, opcodeMask } from "./header.ts";
import { createFoldedName, foldName, type FoldedName, skipName } from "./name.ts";
import { copyOctets, readU16, readU8 } from "./octets.ts";
import { checkOptions } from "./edns.ts";

/** The size that a client accepts over UDP without saying so (RFC 1035 §4.2.1), and the least that EDNS can state (RFC 6891 §6.2.3). */
export const minUdpSizeBytes = 512;

/**
 * What a query says. The fields are valid until the next query is read into the view, and `packet` is the receiver's buffer: to keep a
 * query, copy it with copyQuery.
 */
export interface ClientQuery {
  packet: Uint8Array;
  id: number;
  /** The header's flags as the client sent them. */
  flags: number;
  /** Where the question ends: every reply repeats octets 12 up to here, spelling included. 0 if the question was unreadable. */
  questionEnd: number;
  /** The folded name with its hash. */
  readonly name: FoldedName;
  type: number;
  class: number;
  hasEdns: boolean;
  ednsVersion: number;
  /** The DO bit (RFC 3225). */
  dnssecOk: boolean;
  /** The largest reply that the client accepts over UDP: 512 without EDNS, never less with it. */
  udpSizeBytes: number;
}

/** Creates an empty view, which hashes names with `hashSeed` (see createFoldedName). */
export function createQueryView(hashSeed: number): ClientQuery {
  return {
    packet: new Uint8Array(0),
    id: 0,
    flags: 0,
    questionEnd: 0,
    name: createFoldedName(hashSeed),
    type: 0,
    class: 0,
    hasEdns: false,
    ednsVersion: 0,
    dnssecOk: false,
    udpSizeBytes: minUdpSizeBytes,
  };
}

/**
 * Reads the first `sizeBytes` octets of `packet` as a query into `query`, which then refers to `packet`. Returns 0, or a Fault; `id`,
 * `flags` (if there is a header) and `questionEnd` (if the question was readable) are set even then, for the error reply. Linear in the
 * size: counts are believed only as far as the octets go. Octets after the last record are ignored and never passed on.
 */
export function readQuery(packet: Uint8Array, sizeBytes: number, query: ClientQuery): number {
  query.packet = packet;
  query.questionEnd = 0;
  query.hasEdns = false;
  query.ednsVersion = 0;
  query.dnssecOk = false;
  query.udpSizeBytes = minUdpSizeBytes;
  if (sizeBytes < headerSizeBytes) return Fault.shortHeader;
  query.id = readU16(packet, HeaderOffset.id);
  query.flags = readU16(packet, HeaderOffset.flags);
  if ((query.flags & Flag.QR) !== 0) return Fault.wrongDirection;
  if ((query.flags & opcodeMask) !== 0) return Fault.opcode;
  if (readU16(packet, HeaderOffset.questionCount) !== 1) return Fault.questionCount;

  const nameEnd = foldName(packet, headerSizeBytes, sizeBytes, query.name);
  if (nameEnd < 0) return nameEnd;
  if (nameEnd + 4 > sizeBytes) return Fault.questionTruncated;
  query.type = readU16(packet, nameEnd);
  query.class = readU16(packet, nameEnd + 2);
  query.questionEnd = nameEnd + 4;

  const misplaced = readU16(packet, HeaderOffset.answerCount) + readU16(packet, HeaderOffset.authorityCount);
  const additionalCount = readU16(packet, HeaderOffset.additionalCount);
  if (misplaced > 0) return misplacedRecords(packet, query.questionEnd, sizeBytes, misplaced);
  return additionalCount === 0 ? 0 : readAdditional(packet, sizeBytes, additionalCount, query);
}

/** Nothing is folded into the name of a copy. */
const noWords = new DataView(new ArrayBuffer(0));

/**
 * A copy of `query` that outlives the receive buffer: it has its own packet (header and question only) and its own name, in an array of
 * just its size.
 */
export function copyQuery(query: ClientQuery): ClientQuery {
  const octets = copyOctets(query.name.octets, 0, query.name.sizeBytes);
  const packet = copyOctets(query.packet, 0, query.questionEnd);
  return { ...query, packet, name: { ...query.name, octets, words: noWords } };
}

/** Whether the client understands AD in a reply (RFC 6840 §5.7). */
export function understandsAuthenticData(query: ClientQuery): boolean {
  return query.dnssecOk || (query.flags & Flag.AD) !== 0;
}

/** Whether this type and class can be looked up: class IN, and not a transfer, a key exchange or a marker. */
export function isLookup(type: number, rrClass: number): boolean {
  if (rrClass !== RrClass.IN) return false;
  return type !== 0 && type !== RrType.OPT && (type < RrType.TKEY || type >= RrType.ANY);
}

function readAdditional(packet: Uint8Array, end: number, count: number, query: ClientQuery): number {
  let at = query.questionEnd;
  for (let index = 0; index < count; index += 1) {
    const nameEnd = skipName(packet, at, end);
    if (nameEnd < 0) return nameEnd;
    if (nameEnd + 10 > end) return Fault.recordTruncated;
    const recordEnd = nameEnd + 10 + readU16(packet, nameEnd + 8);
    if (recordEnd > end) return Fault.recordTruncated;
    if (readU16(packet, nameEnd) === RrType.OPT) {
      const fault = readOpt(packet, at, nameEnd, recordEnd, query);
      if (fault !== 0) return fault;
    }
    at = recordEnd;
  }
  return 0;
}

function readOpt(packet: Uint8Array, owner: number, nameEnd: number, recordEnd: number, query: ClientQuery): number {
  if (query.hasEdns) return Fault.optRepeated;
  if (nameEnd !== owner + 1) return Fault.optOwner;
  query.hasEdns = true;
  query.udpSizeBytes = Math.max(readU16(packet, nameEnd + 2), minUdpSizeBytes);
  query.ednsVersion = readU8(packet, nameEnd + 5);
  query.dnssecOk = (readU8(packet, nameEnd + 6) & 0x80) !== 0;
  return checkOptions(packet, nameEnd + 10, recordEnd);
}

/** The Fault of a query with records in its answer or authority section: an OPT record there has a fault of its own. */
function misplacedRecords(packet: Uint8Array, offset: number, end: number, count: number): number {
  let at = offset;
  for (let index = 0; index < count; index += 1) {
    const nameEnd = skipName(packet, at, end);
    if (nameEnd < 0 || nameEnd + 10 > end) return Fault.recordTruncated;
    if (readU16(packet, nameEnd) === RrType.OPT) return Fault.optSection;
    at = nameEnd + 10 + readU16(packet, nameEnd + 8);
    if (at > end) return Fault.recordTruncated;
  }
  return Fault.recordsInQuery;
}
