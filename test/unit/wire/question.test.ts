import { describe, expect, test } from "vitest";
import { createQueryView, readQuery } from "../../../src/wire/query.ts";
import { composeQuery, ownQuestion, type Question, questionKey, questionOf } from "../../../src/wire/question.ts";
import { buildMessage, hex, optRecord, toHex, wireName } from "./build-message.ts";

/** The question of a query with the given header flags, with or without DO. */
function asked(text: string, type: number, flags: number, ednsTtl = 0): Question {
  const additionals = [optRecord("0008 0007 0001 18 00 c00002", 4096, ednsTtl)];
  const packet = buildMessage({ id: 0xbeef, flags, name: wireName(text), type, additionals });
  const query = createQueryView(7);
  expect(readQuery(packet, packet.length, query)).toBe(0);
  return questionOf(query);
}

describe("questionOf", () => {
  test("takes the folded name, type, class and hash", () => {
    const question = asked("wWw.Example", 28, 0x0100);
    expect(question).toMatchObject({ name: wireName("www.example"), type: 28, class: 1 });
    expect(question.nameHash).toBe(asked("WwW.eXAMPLE", 28, 0x0100).nameHash);
  });

  test.each([
    ["RD", 0x0100, 0, { recursionDesired: true, checkingDisabled: false, dnssecOk: false }],
    ["CD", 0x0010, 0, { recursionDesired: false, checkingDisabled: true, dnssecOk: false }],
    ["DO", 0x0000, 0x8000, { recursionDesired: false, checkingDisabled: false, dnssecOk: true }],
    ["none", 0x0000, 0, { recursionDesired: false, checkingDisabled: false, dnssecOk: false }],
  ])("%s", (_, flags, ednsTtl, fields) => {
    expect(asked("a", 1, flags, ednsTtl)).toMatchObject(fields);
  });

  test("owns its name, which the next query does not change", () => {
    const query = createQueryView(7);
    const first = buildMessage({ name: wireName("first.example") });
    readQuery(first, first.length, query);
    const question = questionOf(query);
    const second = buildMessage({ name: wireName("other.example") });
    readQuery(second, second.length, query);
    expect(question.name).toStrictEqual(wireName("first.example"));
  });
});

describe("questionKey", () => {
  const base = ownQuestion(wireName("a.example"), 1);
  const different: [string, Question][] = [
    ["name", { ...base, name: wireName("b.example") }],
    // The same text, cut into different labels.
    ["label border", { ...base, name: wireName("aexa.mple") }],
    ["type", { ...base, type: 28 }],
    ["class", { ...base, class: 3 }],
    ["DO", { ...base, dnssecOk: true }],
    ["CD", { ...base, checkingDisabled: true }],
    ["RD", { ...base, recursionDesired: false }],
  ];

  test("is equal for equal questions, whatever the hash", () => {
    expect(questionKey({ ...base, name: wireName("a.example"), nameHash: 5 })).toBe(questionKey(base));
  });

  test.each(different)("differs for another %s", (_, question) => {
    expect(questionKey(question)).not.toBe(questionKey(base));
  });

  test("differs for every pair of them", () => {
    expect(new Set(different.map(([, question]) => questionKey(question))).size).toBe(different.length);
  });

  test("does not confuse class 1 and type 11 with class 11 and type 1", () => {
    expect(questionKey({ ...base, class: 1, type: 11 })).not.toBe(questionKey({ ...base, class: 11, type: 1 }));
  });
});

describe("composeQuery", () => {
  const question = ownQuestion(wireName("a.example"), 28);
  const asksFor = "01 61 07 6578616d706c65 00 001c 0001";
  const opt = "00 0029 04d0 00 00 0000 0000";

  test.each([
    ["RD", question, `0000 0120 0001 0000 0000 0001 ${asksFor} ${opt}`],
    ["no RD", { ...question, recursionDesired: false }, `0000 0020 0001 0000 0000 0001 ${asksFor} ${opt}`],
    ["CD", { ...question, checkingDisabled: true }, `0000 0130 0001 0000 0000 0001 ${asksFor} ${opt}`],
    ["DO", { ...question, dnssecOk: true }, `0000 0120 0001 0000 0000 0001 ${asksFor} 00 0029 04d0 00 00 8000 0000`],
    [
      "another class",
      { ...question, class: 3 },
      `0000 0120 0001 0000 0000 0001 01 61 07 6578616d706c65 00 001c 0003 ${opt}`,
    ],
  ])("%s: ID 0, AD, the question, and OPT without options", (_, asking, octets) => {
    expect(toHex(composeQuery(asking))).toBe(toHex(hex(octets)));
  });

  test("carries nothing of the client's but the question: not its ID, size, options or spelling", () => {
    expect(toHex(composeQuery(asked("A.ExAmple", 28, 0x0170)))).toBe(
      toHex(hex(`0000 0130 0001 0000 0000 0001 ${asksFor} ${opt}`)),
    );
  });

  test("can be read back by readQuery", () => {
    const packet = composeQuery({ ...question, dnssecOk: true, checkingDisabled: true });
    const query = createQueryView(7);
    expect(readQuery(packet, packet.length, query)).toBe(0);
    expect(questionOf(query)).toStrictEqual({
      ...question,
      dnssecOk: true,
      checkingDisabled: true,
      nameHash: query.name.hash,
    });
  });
});

test("ownQuestion asks in class IN, with recursion, without DNSSEC", () => {
  expect(ownQuestion(wireName("a"), 16)).toMatchObject({
    type: 16,
    class: 1,
    recursionDesired: true,
    dnssecOk: false,
    checkingDisabled: false,
  });
});
