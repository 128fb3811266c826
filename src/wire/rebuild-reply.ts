/*
 * A reply with some of its records left out or reordered. Records point back into each other, so they cannot be moved as they are:
 * their owners are rewritten, and so are the names in their data.
 */
import type { AnswerChain } from "./answer-chain.ts";
import { RrType } from "./codes.ts";
import { HeaderOffset, headerSizeBytes, maxMessageSizeBytes } from "./header.ts";
import { expandName } from "./name.ts";
import { createNameNumbers } from "./name-numbers.ts";
import { writeU16 } from "./octets.ts";
import type { Question } from "./question.ts";
import { mayHoldPointers, uncompressedData } from "./record.ts";
import { parseReply, type RecordView, type Reply } from "./reply.ts";

/** The records of a reply that go into a new one, in this order. */
type Sections = Pick<Reply, "answers" | "authorities" | "additionals">;

/** Types that only prove other records (RFC 4035 §3.2.1, RFC 5155 §7.2). SIG and NXT are their older forms. */
const proofTypes: ReadonlySet<number> = new Set([RrType.SIG, RrType.NXT, RrType.RRSIG, RrType.NSEC, RrType.NSEC3]);

/** Whether records of this type only prove others, and are for clients that set DO. */
export function isProofType(type: number): boolean {
  return proofTypes.has(type);
}

/**
 * The reply without signatures and proofs of absence, unless the question asks for them (RFC 4035 §3.2.1): a client that did not set DO
 * must not see them, whatever upstream sends. Returns `reply` itself if it has none, otherwise a reply with a new packet. Where records
 * cannot be rewritten, that packet ends before the first proof.
 */
export function withoutProofs(reply: Reply, question: Question): Reply {
  const isKept = ({ type }: RecordView) => !isProofType(type) || type === question.type || question.type === RrType.ANY;
  const { answers, authorities, additionals } = reply;
  if (answers.every(isKept) && authorities.every(isKept) && additionals.every(isKept)) return reply;
  const kept = {
    answers: answers.filter(isKept),
    authorities: authorities.filter(isKept),
    additionals: additionals.filter(isKept),
  };
  return rebuildReply(reply, kept) ?? endBefore(reply, isKept);
}

/**
 * The reply with each alias before what it leads to, in case upstream has another order: glibc reads the answer section once, from top to
 * bottom. `chain` is that of `reply`. Returns `reply` itself if there is no chain, if it is in order, or if it cannot be rewritten.
 */
export function aliasesFirst(reply: Reply, chain: AnswerChain | undefined): Reply {
  if (chain === undefined || chain.isInOrder) return reply;
  const ofChain = new Set([...chain.aliases, ...chain.data]);
  // A repeated alias is left out; signatures and a DNAME go last, because nobody relies on their order.
  const others = reply.answers.filter((record) => !ofChain.has(record) && record.type !== RrType.CNAME);
  const answers = [...chain.aliases, ...chain.data, ...others];
  const { authorities, additionals } = reply;
  return (
    rebuildReply(reply, { answers, authorities, additionals }) ??
    rebuildReply(reply, { answers, authorities: [], additionals: [] }) ??
    reply
  );
}

/** A reply with these records, in a new packet. Undefined when one cannot be rewritten, or does not fit. Repeated owners are compressed. */
function rebuildReply(reply: Reply, sections: Sections): Reply | undefined {
  const { packet } = reply;
  const numberOf = createNameNumbers(packet);
  const offsets = new Map([[numberOf(headerSizeBytes), headerSizeBytes]]);
  const records = [...sections.answers, ...sections.authorities, ...sections.additionals];
  const target = new Uint8Array(maxMessageSizeBytes);
  target.set(packet.subarray(0, reply.questionEnd));
  writeU16(target, HeaderOffset.answerCount, sections.answers.length);
  writeU16(target, HeaderOffset.authorityCount, sections.authorities.length);
  writeU16(target, HeaderOffset.additionalCount, sections.additionals.length);
  let end = reply.questionEnd;
  for (const record of records) {
    const number = numberOf(record.owner);
    const known = offsets.get(number);
    const owner = known === undefined ? expandName(packet, record.owner, packet.length) : pointerTo(known);
    const data = movableData(record, packet);
    if (typeof owner === "number" || data === undefined) return undefined;
    if (end + owner.length + 10 + data.length > target.length) return undefined;
    if (known === undefined && end < maxPointer) offsets.set(number, end);
    target.set(owner, end);
    // Type, class and TTL.
    target.set(packet.subarray(record.ttlOffset - 4, record.ttlOffset + 4), end + owner.length);
    writeU16(target, end + owner.length + 8, data.length);
    target.set(data, end + owner.length + 10);
    end += owner.length + 10 + data.length;
  }
  const rebuilt = parseReply(target.slice(0, end));
  return typeof rebuilt === "number" ? undefined : { ...rebuilt, rcode: reply.rcode, hasEdns: reply.hasEdns };
}

/** The highest offset that a compression pointer can hold (RFC 1035 §4.1.4). */
const maxPointer = 0x3fff;

function pointerTo(offset: number): Uint8Array {
  return Uint8Array.of(0xc0 | (offset >> 8), offset & 0xff);
}

/** A record's data in a form that can be moved. Undefined for a type whose data may hold compressed names and is not understood here. */
function movableData(record: RecordView, packet: Uint8Array): Uint8Array | undefined {
  return mayHoldPointers(record.type)
    ? uncompressedData(record, packet)
    : packet.subarray(record.dataOffset, record.end);
}

/** The reply up to the first record that is not kept: nothing before that record points past it. */
function endBefore(reply: Reply, isKept: (record: RecordView) => boolean): Reply {
  const all = [...reply.answers, ...reply.authorities, ...reply.additionals];
  const first = all.find((record) => !isKept(record));
  if (first === undefined) return reply;
  const isBefore = ({ end }: RecordView) => end <= first.owner;
  const [answers, authorities] = [reply.answers.filter(isBefore), reply.authorities.filter(isBefore)];
  const packet = reply.packet.slice();
  writeU16(packet, HeaderOffset.answerCount, answers.length);
  writeU16(packet, HeaderOffset.authorityCount, authorities.length);
  return { ...reply, packet, answers, authorities, additionals: reply.additionals.filter(isBefore) };
}
