import { expect, test } from "vitest";
import { createQuestionTable, type Questioned } from "../../../src/resolve/question-table.ts";
import type { Question } from "../../../src/wire/question.ts";
import { Type } from "../../support/messages/messages.ts";
import { questionFor } from "../../support/messages/parsed-messages.ts";

interface Item extends Questioned<Item> {
  readonly question: Question;
}

function itemFor(question: Question): Item {
  return { question, next: undefined };
}

const www = questionFor("www.example", Type.A);

test("an item is found by an equal question, and by no other", () => {
  const table = createQuestionTable<Item>();
  const item = itemFor(www);
  table.add(item);
  expect(table.find(questionFor("WWW.example", Type.A))).toBe(item);
  const others: Question[] = [
    questionFor("www.example", Type.AAAA),
    questionFor("xww.example", Type.A),
    questionFor("a.www.example", Type.A),
    { ...www, class: 3 },
    { ...www, dnssecOk: true },
    { ...www, checkingDisabled: true },
    { ...www, recursionDesired: false },
  ];
  expect(others.map((other) => table.find(other))).toEqual(others.map(() => undefined));
});

test("the item for another type of the same name is found by that type", () => {
  const table = createQuestionTable<Item>();
  const item = itemFor(questionFor("www.example", Type.AAAA));
  table.add(item);
  expect(table.find(www, Type.AAAA)).toBe(item);
  expect(table.find(item.question, Type.A)).toBeUndefined();
});

test("names with the same hash stand beside each other, whichever goes first", () => {
  const names = ["a.example", "b.example", "c.example"];
  for (const leaving of [0, 1, 2]) {
    const table = createQuestionTable<Item>();
    const items = names.map((name) => itemFor({ ...questionFor(name, Type.A), nameHash: 5 }));
    for (const item of items) table.add(item);
    const left = items[leaving] as Item;
    table.remove(left);
    table.remove(left);
    expect(items.map(({ question }) => table.find(question))).toEqual(
      items.map((item) => (item === left ? undefined : item)),
    );
    expect(left.next).toBeUndefined();
    expect(table.size()).toBe(2);
  }
});
