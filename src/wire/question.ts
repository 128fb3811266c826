/*
 * A question as a value: what is asked upstream, shared in flight and routed. The hot path does without, and uses a ClientQuery.
 */
import { Flag, HeaderOffset, headerSizeBytes } from "./header.ts";
import { hashName } from "./name.ts";
import { writeOpt } from "./edns.ts";
import { ExtendedError, RrClass } from "./codes.ts";
import type { ClientQuery } from "./query.ts";
import { briefOctets, textOfOctets, writeU16, writeU32 } from "./octets.ts";

/** What is asked: everything that may change the answer, and nothing else (RFC 4035 §3.2, RFC 6840 §5.9). */
export interface Question {
  /** Folded, in wire form, owned by the question. */
  readonly name: Uint8Array;
  /** The hash of the name under the process's seed; 0 for a question of nodens's own. */
  readonly nameHash: number;
  readonly type: number;
  readonly class: number;
  readonly dnssecOk: boolean;
  readonly checkingDisabled: boolean;
  /** RD. Without it, what upstream answers may be a referral, which is not for everybody. */
  readonly recursionDesired: boolean;
}

/** The question that a client's query asks, copied out of its buffers. */
export function questionOf(query: ClientQuery): Question {
  return questionAbout(query.name.octets.slice(0, query.name.sizeBytes), query);
}

/** The question that a query asks which nobody changes any more (`copyQuery`): it may share the name with it. */
export function questionOfCopy(query: ClientQuery): Question {
  const { octets, sizeBytes } = query.name;
  return octets.length === sizeBytes ? questionAbout(octets, query) : questionOf(query);
}

function questionAbout(name: Uint8Array, query: ClientQuery): Question {
  return {
    name,
    nameHash: query.name.hash,
    type: query.type,
    class: query.class,
    dnssecOk: query.dnssecOk,
    checkingDisabled: (query.flags & Flag.CD) !== 0,
    recursionDesired: (query.flags & Flag.RD) !== 0,
  };
}

/** The same question about another name (folded, wire form, not copied). `seed` is the one that the process hashes names with. */
export function withName(question: Question, name: Uint8Array, seed: number): Question {
  return { ...question, name, nameHash: hashName(name, 0, name.length, seed) };
}

/** A string that two questions share exactly when they are the same. */
export function questionKey(question: Question): string {
  const bits = (question.dnssecOk ? 1 : 0) | (question.checkingDisabled ? 2 : 0) | (question.recursionDesired ? 4 : 0);
  // The name comes first: the engine would look up a text of two letters, such as "1 ", in a table of its own.
  return `${textOfOctets(question.name)} ${question.type} ${question.class} ${bits}`;
}

/** The type and name (folded, wire form, a new array) of the question with this key. */
export function askedBy(key: string): { readonly type: number; readonly name: Uint8Array } {
  const words = key.split(" ");
  const name = words.slice(0, -3).join(" ");
  return { type: Number(words.at(-3)), name: Uint8Array.from(name, (character) => character.charCodeAt(0)) };
}

/** A question of nodens's own (a probe): class IN, recursion desired. `name` is folded, in wire form, and not copied. */
export function ownQuestion(name: Uint8Array, type: number): Question {
  return {
    name,
    nameHash: 0,
    type,
    class: RrClass.IN,
    dnssecOk: false,
    checkingDisabled: false,
    recursionDesired: true,
  };
}

/**
 * A new array with the query for a question: with nodens's OPT and no options of any client's; the ID is 0, for the caller to fill in.
 * AD is always set, so that the reply says whether the data was authenticated, for the clients that are told (RFC 6840 §5.7).
 */
export function composeQuery(question: Question): Uint8Array {
  const questionEnd = headerSizeBytes + question.name.length + 4;
  const packet = briefOctets(questionEnd + 11);
  const echoed = (question.recursionDesired ? Flag.RD : 0) | (question.checkingDisabled ? Flag.CD : 0);
  writeU16(packet, HeaderOffset.flags, Flag.AD | echoed);
  writeU16(packet, HeaderOffset.questionCount, 1);
  writeU32(packet, HeaderOffset.answerCount, 0);
  writeU16(packet, HeaderOffset.additionalCount, 1);
  packet.set(question.name, headerSizeBytes);
  writeU16(packet, questionEnd - 4, question.type);
  writeU16(packet, questionEnd - 2, question.class);
  writeOpt(packet, questionEnd, 0, question.dnssecOk, ExtendedError.none);
  return packet;
}
