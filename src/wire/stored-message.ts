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
import { HeaderOffset } from "./header.ts";
import { readU16, readU32, writeU16, writeU32 } from "./octets.ts";
import type { RecordView, Reply } from "./reply.ts";

/** A message as drawn above. Immutable once made; shared by everybody it is handed to. */
export interface StoredMessage {
  readonly octets: Uint8Array;
  /** Size of the message itself, without the TTL offsets. */
  readonly sizeBytes: number;
  readonly questionEnd: number;
}

/**
 * Copies a reply into stored form, each TTL capped to `maxTtlSeconds` and, for a denial, the SOA's to `soaTtlSeconds` as
 * well (RFC 2308 §5). A TTL with its top bit set is a large one (RFC 8767 §4), so it is capped like any other. The question
 * is stored in the spelling of the reply.
 */
export function storeMessage(reply: Reply, maxTtlSeconds: number, soaTtlSeconds: number): StoredMessage {
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
  return { octets, sizeBytes, questionEnd: reply.questionEnd };
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

function capTtl(octets: Uint8Array, record: RecordView, maxTtlSeconds: number): void {
  if (readU32(octets, record.ttlOffset) > maxTtlSeconds) writeU32(octets, record.ttlOffset, maxTtlSeconds);
}
