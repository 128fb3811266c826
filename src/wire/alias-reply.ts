/*
 * A reply that answers one name with the records of another: a CNAME first, then the other name's records.
 */
import { RrType } from "./codes.ts";
import { Flag, HeaderOffset, headerSizeBytes, maxMessageSizeBytes } from "./header.ts";
import { expandName } from "./name.ts";
import { readU32, writeU16 } from "./octets.ts";
import type { Question } from "./question.ts";
import { composeRecord, uncompressedData } from "./record.ts";
import type { RecordView, Reply } from "./reply.ts";

/**
 * Composes the reply to `question`: a CNAME to the name that `target` answers, then the answer and authority records of `target`, with
 * `ageSeconds` (whole seconds) taken off their TTLs, never below 1. Flags and rcode are those of `target`, except AD: nobody has signed
 * the alias (RFC 4035 §3.2.3). The ID is 0. Returns a new, uncompressed message; undefined when a record of `target` cannot be read or
 * is of a type that is not understood here, or when the message would exceed 65535 octets.
 */
export function composeAlias(question: Question, target: Reply, ageSeconds: number): Uint8Array | undefined {
  const targetName = expandName(target.packet, headerSizeBytes, target.packet.length);
  if (typeof targetName === "number") return undefined;
  const records = [...target.answers, ...target.authorities].map((record) =>
    uncompressed(record, target.packet, ageSeconds),
  );
  if (records.includes(undefined)) return undefined;
  const bodies = records as Uint8Array[];
  const ttls = [...target.answers, ...target.authorities].map((record) => agedTtl(record, target.packet, ageSeconds));
  const alias = composeRecord(question.name, RrType.CNAME, Math.min(...ttls, maxAliasTtlSeconds), targetName);

  const questionSize = question.name.length + 4;
  const sizeBytes = headerSizeBytes + questionSize + [alias, ...bodies].reduce((sum, body) => sum + body.length, 0);
  if (sizeBytes > maxMessageSizeBytes) return undefined;
  const packet = new Uint8Array(sizeBytes);
  writeU16(packet, HeaderOffset.flags, target.flags & ~Flag.AD);
  writeU16(packet, HeaderOffset.questionCount, 1);
  writeU16(packet, HeaderOffset.answerCount, 1 + target.answers.length);
  writeU16(packet, HeaderOffset.authorityCount, target.authorities.length);
  packet.set(question.name, headerSizeBytes);
  writeU16(packet, headerSizeBytes + question.name.length, question.type);
  writeU16(packet, headerSizeBytes + question.name.length + 2, question.class);
  let at = headerSizeBytes + questionSize;
  for (const body of [alias, ...bodies]) {
    packet.set(body, at);
    at += body.length;
  }
  return packet;
}

/** The longest TTL of the CNAME, whatever the other records allow: a Service may appear in its place. */
const maxAliasTtlSeconds = 5;

/** The types that may follow the CNAME: addresses, what leads to them, and what denies them. */
const aliasedTypes: ReadonlySet<number> = new Set([RrType.A, RrType.AAAA, RrType.CNAME, RrType.NS, RrType.SOA]);

function agedTtl(record: RecordView, packet: Uint8Array, ageSeconds: number): number {
  return Math.max(1, readU32(packet, record.ttlOffset) - ageSeconds);
}

/** The record as a new array with its names uncompressed. Undefined for a type that is not listed above, and for unreadable data. */
function uncompressed(record: RecordView, packet: Uint8Array, ageSeconds: number): Uint8Array | undefined {
  if (!aliasedTypes.has(record.type)) return undefined;
  const owner = expandName(packet, record.owner, packet.length);
  const data = uncompressedData(record, packet);
  if (typeof owner === "number" || data === undefined) return undefined;
  return composeRecord(owner, record.type, agedTtl(record, packet, ageSeconds), data);
}
