/*
 * A reply in the form in which it is kept and handed out again: without OPT, with the place of every TTL written behind it.
 *
 *      octets  +--------+----------+---------+-----------+------------+--------------------------+
 *              | header | question | answers | authority | additional | TTL offsets, 16 bit each |
 *              +--------+----------+---------+-----------+------------+--------------------------+
 *              0        12                                            sizeBytes       octets.length
 *
 * One array per message: the offsets ride along instead of costing an object of their own.
 */
import { isAddressType, RrType } from "./codes.ts";
import { HeaderOffset } from "./header.ts";
import { readU16, readU32, writeU16, writeU32 } from "./octets.ts";
import type { RecordView, Reply } from "./reply.ts";

/** A message as drawn above. Immutable once made, but for `turn`; shared by everybody it is handed to. */
export interface StoredMessage {
  readonly octets: Uint8Array;
  /** Size of the message itself, without the TTL offsets. */
  readonly sizeBytes: number;
  readonly questionEnd: number;
  /** The addresses that take turns at being first: the index of the first record, and how many follow each other. 0 for fewer than two. */
  readonly firstAddress: number;
  readonly addressCount: number;
  /** Which of them is first in the next reply, from 0 to addressCount - 1. */
  turn: number;
}

/**
 * Copies a reply into stored form, each TTL capped to `maxTtlSeconds` and, for a denial, the SOA's to `soaTtlSeconds` as
 * well (RFC 2308 §5). `hasOneOwner` says that all addresses in the answer section are of one name. A TTL with its top bit set is a large one (RFC 8767 §4), so it is capped like any other. The question
 * is stored in the spelling of the reply.
 */
export function storeMessage(
  reply: Reply,
  maxTtlSeconds: number,
  soaTtlSeconds: number,
  hasOneOwner = false,
): StoredMessage {
  const records = [...reply.answers, ...reply.authorities, ...reply.additionals];
  const sizeBytes = records.at(-1)?.end ?? reply.questionEnd;
  const octets = new Uint8Array(sizeBytes + 2 * records.length);
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
  return { octets, sizeBytes, questionEnd: reply.questionEnd, firstAddress, addressCount, turn: 0 };
}

/** Which of the addresses is first this time; the next time it is another one's turn. Only where they take turns. */
export function takeTurn(message: StoredMessage): number {
  const { turn } = message;
  message.turn = turn + 1 >= message.addressCount ? 0 : turn + 1;
  return turn;
}

/** How many records a stored message has. */
export function recordCount(message: StoredMessage): number {
  return (message.octets.length - message.sizeBytes) >> 1;
}

/** Where the TTL of record `index` (0 to recordCount - 1, in message order) is. */
export function ttlOffsetOf(message: StoredMessage, index: number): number {
  return readU16(message.octets, message.sizeBytes + 2 * index);
}

/** The end of the record whose TTL is at `ttlOffset`: the data's length stands right behind the TTL. */
export function recordEndAt(octets: Uint8Array, ttlOffset: number): number {
  return ttlOffset + 6 + readU16(octets, ttlOffset + 4);
}

/** Where the addresses of one type start that stand in a row, and how many they are; 0 for fewer than two. */
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
