/*
 * What comes back on a flow with the ID of an open question: a whole reply, or something that amounts to an error. Only a reply to another
 * question is noise (RFC 5452 §9.1), since the right reply may still follow.
 */
import { Fault } from "../wire/fault.ts";
import { Flag, HeaderOffset, headerSizeBytes, opcodeMask, rcodeMask } from "../wire/header.ts";
import { Rcode } from "../wire/codes.ts";
import { readU16, writeU16 } from "../wire/octets.ts";
import type { Question } from "../wire/question.ts";
import { parseReply, type Reply, repeatsQuestion } from "../wire/reply.ts";

/** What was heard in answer to a question. */
export type Heard =
  /** A reply that can be read to the end. */
  | { readonly kind: "whole"; readonly reply: Reply }
  /** An error without a question (RFC 6891 §7: servers that do not know EDNS may answer so). */
  | { readonly kind: "bare"; readonly rcode: number }
  /** The question followed by octets that cannot be read: cut off, or with an OPT record where none may be. */
  | { readonly kind: "broken"; readonly fault: number };

/**
 * Reads a packet of at least 12 octets with the ID of `question`. The packet then belongs to the result. A string says why the packet is not
 * about the question.
 */
export function readHeard(packet: Uint8Array, question: Question): Heard | "malformed" | "wrong-question" {
  if (!repeatsQuestion(packet, question.name, question.type, question.class)) return readBare(packet);
  const reply = parseReply(packet);
  if (typeof reply !== "number") return { kind: "whole", reply };
  return reply === Fault.wrongDirection || reply === Fault.opcode ? "malformed" : { kind: "broken", fault: reply };
}

function readBare(packet: Uint8Array): Heard | "wrong-question" {
  const flags = readU16(packet, HeaderOffset.flags);
  const isReply = (flags & Flag.QR) !== 0 && (flags & opcodeMask) === 0;
  const hasNothing = [HeaderOffset.questionCount, HeaderOffset.answerCount, HeaderOffset.authorityCount].every(
    (offset) => readU16(packet, offset) === 0,
  );
  const rcode = flags & rcodeMask;
  const isError = rcode !== Rcode.NOERROR && rcode !== Rcode.NXDOMAIN;
  return isReply && hasNothing && isError ? { kind: "bare", rcode } : "wrong-question";
}

/** A new reply without records, in place of one that could not be used as it came: the question, and `flags`, which include the rcode. */
export function emptyReply(question: Question, flags: number): Reply {
  const questionEnd = headerSizeBytes + question.name.length + 4;
  const packet = new Uint8Array(questionEnd);
  writeU16(packet, HeaderOffset.flags, Flag.QR | Flag.RA | flags);
  writeU16(packet, HeaderOffset.questionCount, 1);
  packet.set(question.name, headerSizeBytes);
  writeU16(packet, questionEnd - 4, question.type);
  writeU16(packet, questionEnd - 2, question.class);
  const none = { answers: [], authorities: [], additionals: [], hasEdns: false };
  return { packet, flags: Flag.QR | Flag.RA | flags, rcode: flags & rcodeMask, questionEnd, ...none };
}
