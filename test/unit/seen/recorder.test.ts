import { expect, test } from "vitest";
import { createRecorder, replyWord } from "../../../src/seen/recorder.ts";
import { type ArrivedQuery, recordQuery } from "./record-query.ts";

const query: ArrivedQuery = {
  atMs: 1000,
  clientRow: 3,
  clientGeneration: 1,
  nameHash: -5,
  nameReference: 7,
  type: 28,
  port: 50_000,
  id: 0xfffe,
  isTcp: true,
  hasEdns: false,
};

test("what was recorded is read back", () => {
  const recorder = createRecorder(4);
  const slot = recorder.slotOf(recordQuery(recorder, query));
  expect(recorder.read(slot)).toMatchObject({ ...query, rcode: undefined, isDropped: false, repeatedAfterMs: 0 });
});

test("a late reply is not written into the slot of another query", () => {
  const recorder = createRecorder(4);
  const first = recordQuery(recorder, query);
  for (let turn = 0; turn < 4; turn += 1) recordQuery(recorder, { ...query, id: turn });
  expect(recorder.replied(first, replyWord(0, 1, false), 3)).toBe(-1);
  expect(recorder.read(recorder.slotOf(first)).rcode).toBeUndefined();
});

test("a reply is read back, and that the query had come before stays as it was", () => {
  const recorder = createRecorder(4);
  const number = recordQuery(recorder, { ...query, clientRow: -1 });
  recorder.markRepeated(number, 5000, 4);
  const slot = recorder.replied(number, replyWord(16, 127, true), 2.5);
  const read = {
    clientRow: -1,
    rcode: 16,
    source: 127,
    durationMs: 2.5,
    repeatedAfterMs: 5000,
    first: 4,
    isDropped: false,
  };
  expect(recorder.read(slot)).toMatchObject(read);
});

test("a slot that no query has taken has no number", () => {
  const recorder = createRecorder(4);
  expect(recorder.isThere(recordQuery(recorder, query))).toBe(true);
  expect([0, 1, 3].map(recorder.numberIn)).toEqual([0, -1, -1]);
  expect(recorder.isThere(1)).toBe(false);
});

test("slots are walked from the newest to the oldest, as far as there are queries", () => {
  const recorder = createRecorder(4);
  const seen: number[] = [];
  const walk = () => {
    seen.length = 0;
    recorder.eachSlot((slot) => void seen.push(recorder.read(slot).id));
    return seen;
  };
  for (let id = 0; id < 2; id += 1) recordQuery(recorder, { ...query, id });
  expect(walk()).toEqual([1, 0]);
  for (let id = 2; id < 6; id += 1) recordQuery(recorder, { ...query, id });
  expect(walk()).toEqual([5, 4, 3, 2]);
});

test("a query that got no reply says so", () => {
  const recorder = createRecorder(4);
  const slot = recorder.dropped(recordQuery(recorder, query));
  expect(recorder.read(slot)).toMatchObject({ isDropped: true, rcode: undefined });
});

test("slots since a query are walked from the oldest to the newest, each with its number", () => {
  const recorder = createRecorder(4);
  const seen: number[] = [];
  const look = (slot: number, number: number) => {
    expect(recorder.numberIn(slot)).toBe(number);
    seen.push(number);
  };
  const first = recordQuery(recorder, query);
  expect(recorder.eachSince(-1, look)).toBe(first);
  for (let turn = 0; turn < 2; turn += 1) recordQuery(recorder, query);
  expect(recorder.eachSince(first, look)).toBe(2);
  expect(seen).toEqual([0, 1, 2]);
});

test("a query is marked as repeated as long as it has its slot", () => {
  const recorder = createRecorder(4);
  const number = recordQuery(recorder, query);
  recorder.markRepeated(number, 3000, 1);
  recorder.markRepeated(number + 4, 7000, 2);
  expect(recorder.read(recorder.slotOf(number))).toMatchObject({ repeatedAfterMs: 3000, first: 1 });
});

test("a query has the weight with which it was counted, and the next one in its slot none", () => {
  const recorder = createRecorder(1);
  const slot = recorder.slotOf(recordQuery(recorder, { ...query, type: 28, hasEdns: true }));
  expect(recorder.weightIn(slot)).toBe(0);
  recorder.setWeight(slot, 8);
  expect(recorder.weightIn(slot)).toBe(8);
  expect(recorder.read(slot)).toMatchObject({ type: 28, hasEdns: true, isTcp: true });
  expect(recorder.weightIn(recorder.slotOf(recordQuery(recorder, query)))).toBe(0);
});
