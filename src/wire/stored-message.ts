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
import { briefOctets, readU16, readU32, writeU16, writeU32 } from "./octets.ts";
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
  const records = [...reply.answers, ...reply.authorities, ...reply.additionals];
  const sizeBytes = records.at(-1)?.end ?? reply.questionEnd;
  const octets = briefOctets(sizeBytes + 2 * records.length);
  octets.set(reply.packet.subarray(0, sizeBytes));
  writeU16(octets, HeaderOffset.additionalCount, reply.additionals.length);
  const firstAuthority = reply.answers.length;
  const firstAdditional = firstAuthority + reply.authorities.length;
  records.forEach((record, index) => {
    const isAuthority = index >= firstAuthority && index < firstAdditional;
    capTtl(octets, record, isAuthority ? Math.min(maxTtlSeconds, soaTtlSeconds) : maxTtlSeconds);
    writeU16(octets, sizeBytes + 2 * index, record.ttlOffset);
  });
  const [firstAddress, addressCount] = hasOneOwner ? addressesOf(reply.answers) : [0, 0];
  return {
    octets,
    start: 0,
    sizeBytes,
    recordCount: records.length,
    questionEnd: reply.questionEnd,
    firstAddress,
    addressCount,
    turn: 0,
  };
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

/** The index of the first address, and how many of its type come in a row; 0 for fewer than two. */
function addressesOf(answers: readonly RecordView[]): [number, number] {
  const first = answers.findIndex(({ type }) => isAddressType(type));
  if (first === -1) return [0, 0];
  const type = answers[first]?.type;
  const sizeBytes = type === RrType.A ? 4 : 16;
  const isLike = (record: RecordView) => record.type === type && record.end - record.dataOffset === sizeBytes;
  const behind = answers.findIndex((record, index) => index >= first && !isLike(record));
  const count = (behind === -1 ? answers.length : behind) - first;
  return count < 2 ? [0, 0] : [first, count];
}

function capTtl(octets: Uint8Array, record: RecordView, maxTtlSeconds: number): void {
  if (readU32(octets, record.ttlOffset) > maxTtlSeconds) writeU32(octets, record.ttlOffset, maxTtlSeconds);
}
