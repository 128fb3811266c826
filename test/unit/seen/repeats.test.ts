import { expect, test } from "vitest";
import { createLately } from "../../../src/seen/lately.ts";
import { createRecorder, replyWord } from "../../../src/seen/recorder.ts";
import { createRepeats, First, leastWaitMs, mostWaitMs } from "../../../src/seen/repeats.ts";
import { type ArrivedQuery, recordQuery } from "./record-query.ts";

const query: ArrivedQuery = {
  atMs: 1000,
  clientRow: 3,
  clientGeneration: 1,
  nameHash: 77,
  nameReference: 7,
  type: 1,
  port: 1000,
  id: 1,
  isTcp: false,
  hasEdns: false,
};

/** A record of `slotCount` queries, and a table of `entryCount` of them. `ask` records a query, and says what is found out about it. */
function setUp(slotCount = 64, entryCount = 64) {
  const recorder = createRecorder(slotCount);
  const repeats = createRepeats(recorder, entryCount);
  const lately = createLately(leastWaitMs);
  let last = -1;
  const ask = (more: Partial<ArrivedQuery> = {}) => {
    const asked = { ...query, ...more };
    last = recordQuery(recorder, asked);
    return { ...repeats.look(recorder.slotOf(last), last + 1, lately.since(last + 1, asked.atMs | 0)) };
  };
  return { recorder, repeats, ask, last: () => last };
}

test("a query is found again with how long before it came, and what had become of it by then", () => {
  const { recorder, ask, last } = setUp();
  ask();
  expect(ask({ atMs: 6000 })).toMatchObject({ afterMs: 5000, first: First.waiting });
  recorder.replied(last(), replyWord(0, 0, false), 1);
  expect(ask({ atMs: 11_000 })).toMatchObject({ afterMs: 5000, first: First.answered });
});

test("a reply that came after the query had come again is none for it", () => {
  const { recorder, ask, last } = setUp();
  ask();
  recorder.replied(last(), replyWord(0, 0, false), 6000);
  expect(ask({ atMs: 6000 }).first).toBe(First.waiting);
});

test.each([
  ["client", { clientRow: 4 }],
  ["client that has the row now", { clientGeneration: 2 }],
  ["port", { port: 1001 }],
  ["name", { nameHash: 78 }],
  ["type", { type: 16 }],
  ["transport", { isTcp: true }],
] as const)("a query with another %s is another one", (_, more) => {
  const { ask } = setUp();
  ask();
  expect(ask({ atMs: 6000, ...more })).toMatchObject({ afterMs: 0, isAskedAnew: false, twinAfterMs: -1 });
});

test("the same question with another ID is asked anew, if it comes seconds later", () => {
  const { ask } = setUp();
  ask();
  expect(ask({ atMs: 1500, id: 2 })).toMatchObject({ afterMs: 0, isAskedAnew: false });
  expect(ask({ atMs: 6000, id: 3 })).toMatchObject({ afterMs: 0, isAskedAnew: true });
});

test("a client's time-out counts from its first try, not from one that it sent at once after that", () => {
  const { ask } = setUp();
  ask();
  ask({ atMs: 1100 });
  expect(ask({ atMs: 6000 }).afterMs).toBe(5000);
});

test("a twin is told with how long before it came, the nearest of several", () => {
  const { ask } = setUp();
  ask({ type: 28, id: 9 });
  ask({ type: 28, id: 10, atMs: 3000 });
  expect(ask({ atMs: 5500 }).twinAfterMs).toBe(2500);
});

test("counts what is forgotten within 5 s because too many lie in one place, and nothing that is older", () => {
  const { repeats, ask } = setUp(64, 4);
  for (let id = 0; id < 4; id += 1) ask({ id });
  ask({ id: 9, atMs: 7000 });
  expect(repeats.forgottenCount()).toBe(0);
  for (let id = 10; id < 14; id += 1) ask({ id, atMs: 7000 });
  expect(repeats.forgottenCount()).toBe(1);
});

test("counts what the record has overwritten within 5 s, and nothing that is older", () => {
  const { repeats, ask } = setUp(4, 64);
  for (let id = 0; id < 8; id += 1) ask({ id, port: id, atMs: 1000 + id * 5000 });
  expect(repeats.forgottenCount()).toBe(0);
  for (let id = 0; id < 5; id += 1) ask({ id, port: id, atMs: 50_000 });
  expect(repeats.forgottenCount()).toBe(1);
});

test("recognises a query across the end of the 32 bits of a moment", () => {
  const { ask } = setUp();
  ask({ atMs: 2 ** 32 - 100 });
  expect(ask({ atMs: 2 ** 32 + 4900 }).afterMs).toBe(5000);
});

test("takes a query with the same numbers for a new one after the longest wait", () => {
  const { ask } = setUp();
  ask();
  expect(ask({ atMs: 1001 + mostWaitMs }).afterMs).toBe(0);
});

test("does not look at what is said to have come lately", () => {
  const { recorder, repeats, ask } = setUp();
  ask();
  const number = recordQuery(recorder, { ...query, atMs: 6000 });
  expect(repeats.look(recorder.slotOf(number), number + 1, 1).afterMs).toBe(0);
  expect(repeats.look(recorder.slotOf(number), number + 1, number + 1).afterMs).toBe(5000);
});
