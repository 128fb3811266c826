/*
 * A reply in the form in which it is kept and handed out again: without OPT, and followed by the offset of every TTL.
 *
 *      octets  +--------+----------+---------+-----------+------------+--------------------------+
 *              | header | question | answers | authority | additional | TTL offsets, 16 bit each |
 *              +--------+----------+---------+-----------+------------+--------------------------+
 *              start    start + 12                                    start + sizeBytes
 *
 * The offsets travel with the message instead of costing an object of their own. Offsets within a message count from its start.
 */
import { isAddressType, RrType } from "./codes.ts";
import { HeaderOffset } from "./header.ts";
import { copyOctets, readU16, readU32, writeU16, writeU32 } from "./octets.ts";
import type { RecordView, Reply } from "./reply.ts";

/** A message as drawn above, in an array that may hold others as well. Its octets do not change once it is made. */
export interface StoredMessage {
  readonly octets: Uint8Array;
  /** Where the message starts in `octets`. */
  readonly start: number;
  /** Size of the message proper, without the TTL offsets. */
  readonly sizeBytes: number;
  readonly recordCount: number;
  /** The offset after the question, where the records start. */
  readonly questionEnd: number;
  /** The addresses that take turns at being first: the index of the first one among all records, and their count, 0 for fewer than two. */
  readonly firstAddress: number;
  readonly addressCount: number;
  /** Which of them is first in the next reply, from 0 to addressCount - 1. */
  turn: number;
}

/**
 * Copies a reply into stored form. Each TTL is capped at `maxTtlSeconds`, and those of the authority section at `soaTtlSeconds` too:
 * for a denial, its lifetime (RFC 2308 §5). A TTL with its top bit set is a large one (RFC 8767 §4) and capped like any other.
 * `hasOneOwner` says that all addresses in the answer section belong to one name, and may take turns. The question keeps the reply's
 * spelling. The result shares no array with the reply.
 */
export function storeMessage(
  reply: Reply,
  maxTtlSeconds: number,
  soaTtlSeconds: number,
  hasOneOwner = false,
): StoredMessage {
  const { answers, authorities, additionals } = reply;
  const recordCount = answers.length + authorities.length + additionals.length;
  const sizeBytes = (additionals.at(-1) ?? authorities.at(-1) ?? answers.at(-1))?.end ?? reply.questionEnd;
  const octets = copyOctets(reply.packet, 0, sizeBytes, 2 * recordCount);
  writeU16(octets, HeaderOffset.additionalCount, additionals.length);
  let ttlList = sizeBytes;
  ttlList = listTtls(octets, answers, maxTtlSeconds, ttlList);
  ttlList = listTtls(octets, authorities, Math.min(maxTtlSeconds, soaTtlSeconds), ttlList);
  listTtls(octets, additionals, maxTtlSeconds, ttlList);
  const firstAddress = hasOneOwner ? firstAddressOf(answers) : -1;
  const addressCount = firstAddress < 0 ? 0 : addressCountFrom(answers, firstAddress);
  return {
    octets,
    start: 0,
    sizeBytes,
    recordCount,
    questionEnd: reply.questionEnd,
    firstAddress: addressCount < 2 ? 0 : firstAddress,
    addressCount: addressCount < 2 ? 0 : addressCount,
    turn: 0,
  };
}

/** Caps the TTLs of a section, and writes where they are at `offset`. Returns the offset after that. */
function listTtls(octets: Uint8Array, records: readonly RecordView[], maxTtlSeconds: number, offset: number): number {
  let at = offset;
  for (const record of records) {
    capTtl(octets, record, maxTtlSeconds);
    writeU16(octets, at, record.ttlOffset);
    at += 2;
  }
  return at;
}

/** Returns which of the addresses is first this time, and makes the next one first the next time. Only where addressCount is not 0. */
export function takeTurn(message: StoredMessage): number {
  const { turn } = message;
  message.turn = turn + 1 >= message.addressCount ? 0 : turn + 1;
  return turn;
}

/** How many octets a stored message takes in its array, with the TTL offsets. */
export function storedSizeBytes(message: StoredMessage): number {
  return message.sizeBytes + 2 * message.recordCount;
}

/** The message proper: a view of its octets. */
export function messageOf({ octets, start, sizeBytes }: StoredMessage): Uint8Array {
  return octets.subarray(start, start + sizeBytes);
}

/** Reads 16 bits of the header, at an offset within the message. */
export function readHeader(message: StoredMessage, offset: number): number {
  return readU16(message.octets, message.start + offset);
}

/** The offset of the TTL of record `index` (0 to recordCount - 1, in message order). */
export function ttlOffsetOf(message: StoredMessage, index: number): number {
  return readU16(message.octets, message.start + message.sizeBytes + 2 * index);
}

/** The end of the record whose TTL is at `ttlOffset`: the data's length comes right after the TTL. */
export function recordEndAt(message: StoredMessage, ttlOffset: number): number {
  return ttlOffset + 6 + readU16(message.octets, message.start + ttlOffset + 4);
}

/** The index of the first address; -1 without one. */
function firstAddressOf(answers: readonly RecordView[]): number {
  return answers.findIndex(hasAddress);
}

function hasAddress({ type }: RecordView): boolean {
  return isAddressType(type);
}

/** How many addresses of one type come in a row, from this index on. */
function addressCountFrom(answers: readonly RecordView[], first: number): number {
  const type = answers[first]?.type;
  const sizeBytes = type === RrType.A ? 4 : 16;
  let count = 0;
  for (let index = first; index < answers.length; index += 1) {
    const record = answers[index] as RecordView;
    if (record.type !== type || record.end - record.dataOffset !== sizeBytes) break;
    count += 1;
  }
  return count;
}

function capTtl(octets: Uint8Array, record: RecordView, maxTtlSeconds: number): void {
  if (readU32(octets, record.ttlOffset) > maxTtlSeconds) writeU32(octets, record.ttlOffset, maxTtlSeconds);
}
