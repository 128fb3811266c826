/*
 * One stored message, many clients: each gets its own ID, flags, spelling, TTLs, EDNS and size (RFC 1035 §4.1.1, RFC 6891 §7,
 * RFC 2181 §9).
 */
import { Flag, HeaderOffset, headerSizeBytes, opcodeMask, rcodeMask } from "./header.ts";
import { ExtendedError, Rcode, RrType } from "./codes.ts";
import { optSizeFor, writeOpt } from "./edns.ts";
import { readU16, readU32, writeU16, writeU32 } from "./octets.ts";
import { type ClientQuery, understandsAuthenticData } from "./query.ts";
import { readHeader, recordEndAt, type StoredMessage, takeTurn, ttlOffsetOf } from "./stored-message.ts";

/**
 * Writes `message` as the reply to `query` into `target` and returns its size, at most `limitBytes` (512 or more; the caller
 * guarantees that much room). `ageSeconds`, a whole number, is taken off each TTL; if `fixedTtlSeconds` is not 0, every TTL is set to
 * it instead. `extendedError` goes into OPT if the client sent one. An answer that does not fit is cut after the last whole record,
 * with TC: musl before 1.2.4 uses what is there and never asks over TCP.
 */
export function shapeReply(
  target: Uint8Array,
  message: StoredMessage,
  query: ClientQuery,
  ageSeconds: number,
  fixedTtlSeconds: number,
  extendedError: number,
  limitBytes: number,
): number {
  const { octets, start } = message;
  const optSize = query.hasEdns ? optSizeFor(extendedError) : 0;
  const fitsWhole = message.sizeBytes + optSize <= limitBytes;
  const keptRecords = fitsWhole ? message.recordCount : countFittingRecords(message, limitBytes - optSize);
  const end = fitsWhole ? message.sizeBytes : endOfRecords(message, keptRecords);

  copyMessage(target, octets, start, end);
  writeU16(target, HeaderOffset.id, query.id);
  copyQuestion(target, query);
  const isCut = !fitsWhole && setCounts(target, message, keptRecords);
  writeU16(target, HeaderOffset.flags, replyFlags(readHeader(message, HeaderOffset.flags), query, isCut));
  for (let index = 0; index < keptRecords; index += 1) {
    const at = ttlOffsetOf(message, index);
    writeU32(target, at, fixedTtlSeconds > 0 ? fixedTtlSeconds : Math.max(0, readU32(octets, start + at) - ageSeconds));
  }
  if (message.addressCount > 0) rotateAddresses(target, message, keptRecords);
  if (!query.hasEdns) return end;
  writeU16(target, HeaderOffset.additionalCount, readU16(target, HeaderOffset.additionalCount) + 1);
  return writeOpt(target, end, 0, query.dnssecOk, extendedError);
}

/**
 * Writes a reply without records into `target` (maxErrorSizeBytes are always enough) and returns its size: the header, the question
 * if it was readable, and OPT if the client sent one. The upper bits of `rcode` (BADVERS) go into OPT.
 */
export function composeError(target: Uint8Array, query: ClientQuery, rcode: number, extendedError: number): number {
  const end = composeHead(target, query, rcode);
  return query.hasEdns ? writeOpt(target, end, rcode >> 4, query.dnssecOk, extendedError) : end;
}

/**
 * Writes a NOERROR reply with one answer into `target` and returns its size: what composeError writes, and `record` (wire form). The
 * caller guarantees the room for both.
 */
export function composeOwnReply(target: Uint8Array, query: ClientQuery, record: Uint8Array): number {
  const at = composeHead(target, query, Rcode.NOERROR);
  writeU16(target, HeaderOffset.answerCount, 1);
  target.set(record, at);
  const end = at + record.length;
  return query.hasEdns ? writeOpt(target, end, 0, query.dnssecOk, ExtendedError.none) : end;
}

/** The most room that composeError needs: the header, the longest question, OPT with an extended error. */
export const maxErrorSizeBytes = headerSizeBytes + 255 + 4 + optSizeFor(ExtendedError.cachedError);

/** Writes the header, which counts the OPT that is to follow, and the question if it was readable. Returns the offset after them. */
function composeHead(target: Uint8Array, query: ClientQuery, rcode: number): number {
  const hasQuestion = query.questionEnd > 0;
  const opcode = query.flags & opcodeMask;
  const echoed = opcode | (query.flags & (Flag.RD | Flag.CD));
  writeU16(target, HeaderOffset.id, query.id);
  writeU16(target, HeaderOffset.flags, Flag.QR | Flag.RA | echoed | (rcode & rcodeMask));
  writeU16(target, HeaderOffset.questionCount, hasQuestion ? 1 : 0);
  writeU32(target, HeaderOffset.answerCount, 0);
  writeU16(target, HeaderOffset.additionalCount, query.hasEdns ? 1 : 0);
  if (hasQuestion) copyQuestion(target, query);
  return hasQuestion ? query.questionEnd : headerSizeBytes;
}

function replyFlags(stored: number, query: ClientQuery, isCut: boolean): number {
  const kept = stored & (Flag.AA | Flag.TC | rcodeMask | (understandsAuthenticData(query) ? Flag.AD : 0));
  const echoed = query.flags & (Flag.RD | Flag.CD);
  return Flag.QR | Flag.RA | kept | echoed | (isCut ? Flag.TC : 0);
}

/**
 * Spreads the clients that use the first address over all of them: each reply starts with the next one. Only the data moves; owners and
 * TTLs stay, and so do signatures, for which the order does not matter (RFC 4034 §6.3).
 */
function rotateAddresses(target: Uint8Array, message: StoredMessage, keptRecords: number): void {
  const { octets, start, firstAddress } = message;
  const behind = firstAddress + message.addressCount;
  const keptEnd = Math.min(behind, keptRecords);
  let from = firstAddress + takeTurn(message);
  for (let index = firstAddress; index < keptEnd; index += 1) {
    const at = ttlOffsetOf(message, index) + 6;
    const source = start + ttlOffsetOf(message, from) + 6;
    const sizeBytes = readU16(octets, source - 2);
    for (let octet = 0; octet < sizeBytes; octet += 1) target[at + octet] = octets[source + octet] as number;
    from = from + 1 === behind ? firstAddress : from + 1;
  }
}

/** How many records, from the first on, end within `limitBytes`. */
function countFittingRecords(message: StoredMessage, limitBytes: number): number {
  let fitting = 0;
  while (fitting < message.recordCount && recordEndAt(message, ttlOffsetOf(message, fitting)) <= limitBytes)
    fitting += 1;
  return fitting;
}

function endOfRecords(message: StoredMessage, count: number): number {
  return count === 0 ? message.questionEnd : recordEndAt(message, ttlOffsetOf(message, count - 1));
}

/**
 * Sets the counts to the first `kept` records. Returns whether something that the client needs is missing: an answer, the SOA of a
 * denial, or what proves it to a client that validates (RFC 4035 §3.1.3). Other authority and additional records are a courtesy, and
 * are left out without TC (RFC 2181 §9).
 */
function setCounts(target: Uint8Array, message: StoredMessage, kept: number): boolean {
  const answerCount = readHeader(message, HeaderOffset.answerCount);
  const authorityCount = readHeader(message, HeaderOffset.authorityCount);
  const keptAnswers = Math.min(kept, answerCount);
  const keptAuthorities = Math.min(kept - keptAnswers, authorityCount);
  writeU16(target, HeaderOffset.answerCount, keptAnswers);
  writeU16(target, HeaderOffset.authorityCount, keptAuthorities);
  writeU16(target, HeaderOffset.additionalCount, kept - keptAnswers - keptAuthorities);
  return keptAnswers < answerCount || dropsProof(message, kept, answerCount + authorityCount);
}

/** Whether a record from `first` up to, not including, `end` is an SOA or a proof. Its type is four octets before its TTL. */
function dropsProof(message: StoredMessage, first: number, end: number): boolean {
  const { octets, start } = message;
  for (let index = first; index < end; index += 1) {
    const ttlOffset = start + ttlOffsetOf(message, index);
    const type = readU16(octets, ttlOffset - 4);
    if (type === RrType.SOA || type === RrType.NSEC || type === RrType.NSEC3) return true;
    // A signature starts with the type that it covers; the one over the zone's NS records is a courtesy like them.
    if (type === RrType.RRSIG && readU16(octets, ttlOffset + 6) !== RrType.NS) return true;
  }
  return false;
}

function copyQuestion(target: Uint8Array, query: ClientQuery): void {
  for (let at = headerSizeBytes; at < query.questionEnd; at += 1) target[at] = query.packet[at] as number;
}

/** Short messages are cheaper to copy octet by octet than by a call into the engine. */
function copyMessage(target: Uint8Array, source: Uint8Array, start: number, sizeBytes: number): void {
  if (sizeBytes > 256) {
    target.set(source.subarray(start, start + sizeBytes));
    return;
  }
  for (let at = 0; at < sizeBytes; at += 1) target[at] = source[start + at] as number;
}
