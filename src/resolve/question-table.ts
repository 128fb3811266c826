/*
 * What is in flight, by its question: compared octet by octet, so that no text has to be made and looked up for each. Chains through the
 * items themselves, for they live for milliseconds (key-table says why a Map would not do).
 */
import { equalOctets } from "../wire/name.ts";
import type { Question } from "../wire/question.ts";

/** What can be in a table. */
export interface Questioned<Self> {
  readonly question: Question;
  /** The next in its chain, which is the table's business. */
  next: Self | undefined;
}

/** Items by question, one for each. */
export interface QuestionTable<Item extends Questioned<Item>> {
  /** The item of this question, but for its type if another is given; undefined if there is none. */
  find(question: Question, type?: number): Item | undefined;
  /** Adds an item, whose question none has that is in the table. */
  add(item: Item): void;
  /** Takes out an item. Does nothing if it is not in the table. */
  remove(item: Item): void;
  size(): number;
}

/** Chains, a power of two: more than there are questions in flight on an ordinary day. */
const chainCount = 1024;

/** Creates an empty table. */
export function createQuestionTable<Item extends Questioned<Item>>(): QuestionTable<Item> {
  const chains = Array.from<Item | undefined>({ length: chainCount });
  let size = 0;

  return {
    find(question, type = question.type) {
      let item = chains[chainOf(question)];
      while (item !== undefined && !asksFor(item.question, question, type)) item = item.next;
      return item;
    },
    add(item) {
      const chain = chainOf(item.question);
      item.next = chains[chain];
      chains[chain] = item;
      size += 1;
    },
    remove(item) {
      const chain = chainOf(item.question);
      let previous: Item | undefined;
      let each = chains[chain];
      while (each !== undefined && each !== item) {
        previous = each;
        each = each.next;
      }
      if (each === undefined) return;
      if (previous === undefined) chains[chain] = item.next;
      else previous.next = item.next;
      // One that is old would keep younger ones in memory.
      item.next = undefined;
      size -= 1;
    },
    size: () => size,
  };
}

/** By the name alone, for A and AAAA are looked for together. */
function chainOf({ nameHash }: Question): number {
  return nameHash & (chainCount - 1);
}

function asksFor(one: Question, other: Question, type: number): boolean {
  return (
    one.type === type &&
    one.class === other.class &&
    one.dnssecOk === other.dnssecOk &&
    one.checkingDisabled === other.checkingDisabled &&
    one.recursionDesired === other.recursionDesired &&
    one.name.length === other.name.length &&
    equalOctets(one.name, 0, other.name)
  );
}
