/*
 * An upstream's reply, read to its end before any of it is believed.
 */
import { RrType } from "./codes.ts";
import { Fault } from "./fault.ts";
import { Flag, HeaderOffset, headerSizeBytes, opcodeMask, rcodeMask } from "./header.ts";
import { foldOctet, skipName } from "./name.ts";
import { readU16, readU8 } from "./octets.ts";

/** One record, as offsets into its message. */
export interface RecordView {
  /** Where the owner name starts; it may be compressed. */
  readonly owner: number;
  readonly type: number;
  readonly class: number;
  /** Where the TTL is; the length (2 octets) and the data follow it. */
  readonly ttlOffset: number;
  readonly dataOffset: number;
  /** The offset after the data. */
  readonly end: number;
}

/** A well-formed reply. `packet` is the array that was parsed, not a copy; all offsets refer to it. */
export interface Reply {
  readonly packet: Uint8Array;
  readonly flags: number;
  /** The header's four bits, with the eight of the OPT record above them. */
  readonly rcode: number;
  /** The offset after the question, where the records start. */
  readonly questionEnd: number;
  readonly answers: readonly RecordView[];
  readonly authorities: readonly RecordView[];
  /** Without OPT, and without any record after it. */
  readonly additionals: readonly RecordView[];
  readonly hasEdns: boolean;
}

/**
 * Reads `packet` as a reply to exactly one question. Returns a Fault for anything else, and for a reply that cannot be read to its
 * end; octets after the last record are ignored. Linear in the size.
 */
export function parseReply(packet: Uint8Array): Reply | number {
  if (packet.length < headerSizeBytes) return Fault.shortHeader;
  const flags = readU16(packet, HeaderOffset.flags);
  if ((flags & Flag.QR) === 0) return Fault.wrongDirection;
  if ((flags & opcodeMask) !== 0) return Fault.opcode;
  if (readU16(packet, HeaderOffset.questionCount) !== 1) return Fault.questionCount;
  const nameEnd = skipName(packet, headerSizeBytes, packet.length);
  if (nameEnd < 0) return nameEnd === Fault.recordTruncated ? Fault.questionTruncated : nameEnd;
  if (nameEnd + 4 > packet.length) return Fault.questionTruncated;

  const questionEnd = nameEnd + 4;
  const answers: RecordView[] = [];
  const authorities: RecordView[] = [];
  const additionals: RecordView[] = [];
  let at = readSection(packet, questionEnd, readU16(packet, HeaderOffset.answerCount), answers);
  if (at >= 0) at = readSection(packet, at, readU16(packet, HeaderOffset.authorityCount), authorities);
  if (at >= 0) at = readSection(packet, at, readU16(packet, HeaderOffset.additionalCount), additionals);
  if (at < 0) return at;

  const optIndex = additionals.findIndex(isOpt);
  if (additionals.findLastIndex(isOpt) !== optIndex) return Fault.optRepeated;
  if (answers.some(isOpt) || authorities.some(isOpt)) return Fault.optSection;
  const opt = additionals[optIndex];
  // What follows OPT would move when OPT is removed, and pointers into it would break; nobody sends such records.
  if (opt !== undefined) additionals.length = optIndex;
  const upperRcode = opt === undefined ? 0 : readU8(packet, opt.ttlOffset);
  return {
    packet,
    flags,
    rcode: (upperRcode << 4) | (flags & rcodeMask),
    questionEnd,
    answers,
    authorities,
    additionals,
    hasEdns: opt !== undefined,
  };
}

/**
 * Whether the packet asks exactly this question: `name` (folded, wire form; compared case-insensitively), type and class
 * (RFC 5452 §3, §9.1). False for a packet that is too short to hold it, or has another number of questions.
 */
export function repeatsQuestion(packet: Uint8Array, name: Uint8Array, type: number, rrClass: number): boolean {
  const nameEnd = headerSizeBytes + name.length;
  if (packet.length < nameEnd + 4 || readU16(packet, HeaderOffset.questionCount) !== 1) return false;
  for (let index = 0; index < name.length; index += 1) {
    if (foldOctet(readU8(packet, headerSizeBytes + index)) !== name[index]) return false;
  }
  return readU16(packet, nameEnd) === type && readU16(packet, nameEnd + 2) === rrClass;
}

/** Reads `count` records, from `offset` on, into `records`. Returns the offset after the last one, or a Fault. */
function readSection(packet: Uint8Array, offset: number, count: number, records: RecordView[]): number {
  let at = offset;
  for (let index = 0; index < count; index += 1) {
    const nameEnd = skipName(packet, at, packet.length);
    if (nameEnd < 0) return nameEnd;
    const dataOffset = nameEnd + 10;
    if (dataOffset > packet.length) return Fault.recordTruncated;
    const end = dataOffset + readU16(packet, nameEnd + 8);
    if (end > packet.length) return Fault.recordTruncated;
    const type = readU16(packet, nameEnd);
    records.push({ owner: at, type, class: readU16(packet, nameEnd + 2), ttlOffset: nameEnd + 4, dataOffset, end });
    at = end;
  }
  return at;
}

function isOpt(record: RecordView): boolean {
  return record.type === RrType.OPT;
}
