import { expect, test } from "vitest";
import { type ArrivedQuery, createRecorder } from "../../../src/seen/recorder.ts";

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
  repeatedAfterMs: 5000,
  first: 2,
};

test("what was recorded is read back", () => {
  const recorder = createRecorder(4);
  const slot = recorder.slotOf(recorder.arrived(query, 0));
  expect(recorder.read(slot)).toMatchObject({ ...query, rcode: undefined, isDropped: false });
});

test("a late reply is not written into the slot of another query", () => {
  const recorder = createRecorder(4);
  const first = recorder.arrived(query, 0);
  for (let turn = 0; turn < 4; turn += 1) recorder.arrived({ ...query, id: turn }, 0);
  expect(recorder.replied(first, 0, 1, 3)).toBe(-1);
  expect(recorder.read(recorder.slotOf(first)).rcode).toBeUndefined();
});

test("slots are walked from the newest to the oldest, as far as there are queries", () => {
  const recorder = createRecorder(4);
  const seen: number[] = [];
  const walk = () => {
    seen.length = 0;
    recorder.eachSlot((slot) => void seen.push(recorder.read(slot).id));
    return seen;
  };
  for (let id = 0; id < 2; id += 1) recorder.arrived({ ...query, id }, 0);
  expect(walk()).toEqual([1, 0]);
  for (let id = 2; id < 6; id += 1) recorder.arrived({ ...query, id }, 0);
  expect(walk()).toEqual([5, 4, 3, 2]);
});

test("a query that got no reply says so", () => {
  const recorder = createRecorder(4);
  const slot = recorder.dropped(recorder.arrived(query, 0));
  expect(recorder.read(slot)).toMatchObject({ isDropped: true, rcode: undefined });
});
