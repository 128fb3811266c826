/*
 * An answer section read as what it should be: one chain of aliases from the question to records of its type (RFC 1034 §3.6.2).
 */
import { RrType } from "./codes.ts";
import { headerSizeBytes } from "./header.ts";
import { expandName } from "./name.ts";
import { createNameNumbers, type NumberOfName } from "./name-numbers.ts";
import { readU16 } from "./octets.ts";
import type { Question } from "./question.ts";
import type { RecordView, Reply } from "./reply.ts";

/** One chain, and nothing else in the answer section. */
export interface AnswerChain {
  /** The aliases in the order of the chain, starting at the question; a repeated one is listed once. */
  readonly aliases: readonly RecordView[];
  /** The records of the type that was asked for, all owned by the name at the chain's end, in message order. */
  readonly data: readonly RecordView[];
  /** The name at the end, folded, in wire form: a new array, or the question's own if there is no alias. */
  readonly end: Uint8Array;
  /** Whether every alias comes before what it leads to. */
  readonly isInOrder: boolean;
}

/** The longest chain of aliases that is accepted. Clouds and CDNs use up to a dozen. */
const maxAliases = 32;

interface Alias {
  readonly record: RecordView;
  readonly target: number;
}

/**
 * Follows the answer section of a reply to `question`. Records may come in any order, and more than once. Undefined when the section is
 * anything but one chain: a loop, two targets for one owner, an unrelated record, more than 32 aliases, an unreadable name.
 */
export function followChain(reply: Reply, question: Question): AnswerChain | undefined {
  if (reply.answers.every((record) => isPlainData(record, reply, question)))
    return { aliases: [], data: reply.answers, end: question.name, isInOrder: true };
  const numberOf = createNameNumbers(reply.packet);
  const chained = reply.answers.filter((record) => isChained(record, question));
  const isAlias = ({ type }: RecordView) =>
    type === RrType.CNAME && question.type !== RrType.CNAME && question.type !== RrType.ANY;
  const byOwner = aliasesByOwner(chained.filter(isAlias), numberOf);
  if (byOwner === undefined) return undefined;

  const aliases: RecordView[] = [];
  // By the owner's number: the position of its alias in the chain.
  const places = new Map<number, number>();
  let end = numberOf(headerSizeBytes);
  for (let alias = byOwner.get(end); alias !== undefined; alias = byOwner.get(end)) {
    if (places.has(end)) return undefined;
    places.set(end, aliases.length);
    aliases.push(alias.record);
    end = alias.target;
  }
  if (end < 0 || aliases.length !== byOwner.size) return undefined;

  const data = chained.filter((record) => !isAlias(record));
  const isData = (record: RecordView) => question.type === RrType.ANY || record.type === question.type;
  if (!data.every((record) => isData(record) && numberOf(record.owner) === end)) return undefined;
  const last = aliases.at(-1);
  const endName = last === undefined ? question.name : expandName(reply.packet, last.dataOffset, reply.packet.length);
  if (typeof endName === "number") return undefined;
  const placeOf = (record: RecordView) =>
    isAlias(record) ? (places.get(numberOf(record.owner)) as number) : aliases.length;
  return { aliases, data, end: endName, isInOrder: isEachReached(chained.map(placeOf)) };
}

/** Whether a record is of the type that was asked for, and its owner a pointer to the question's name: so it is in nearly every reply. */
function isPlainData({ type, owner }: RecordView, { packet }: Reply, question: Question): boolean {
  return type === question.type && readU16(packet, owner) === pointerToQuestion;
}

const pointerToQuestion = 0xc000 | headerSizeBytes;

/** The aliases by the number of their owner. Undefined when there are too many, two targets for one owner, or an unreadable name. */
function aliasesByOwner(records: readonly RecordView[], numberOf: NumberOfName): Map<number, Alias> | undefined {
  const byOwner = new Map<number, Alias>();
  for (const record of records) {
    const owner = numberOf(record.owner);
    const target = numberOf(record.dataOffset);
    if (owner < 0 || target < 0) return undefined;
    const known = byOwner.get(owner);
    if (known !== undefined && known.target !== target) return undefined;
    if (known === undefined) byOwner.set(owner, { record, target });
    if (byOwner.size > maxAliases) return undefined;
  }
  return byOwner;
}

/**
 * Whether a record is part of the chain. Unless they are what was asked for, signatures only accompany what they sign, and a DNAME the
 * CNAME that is made from it (RFC 6672 §3.1).
 */
function isChained(record: RecordView, question: Question): boolean {
  return record.type === question.type || (record.type !== RrType.RRSIG && record.type !== RrType.DNAME);
}

/** Whether each position of the chain first appears after the one before it, read from top to bottom. */
function isEachReached(places: readonly number[]): boolean {
  let reached = 0;
  for (const place of places) {
    if (place > reached) return false;
    if (place === reached) reached += 1;
  }
  return true;
}
