/*
 * How many names that failed are asked again in a while.
 */
import { expect, test } from "vitest";
import {
  type AskOutcome,
  createRecheckBudget,
  createRecheckBudgets,
  type RecheckBudget,
} from "../../../src/resolve/recheck-budget.ts";

/** How many are taken in a second, tried every millisecond from `sinceMs` on; each is answered. */
function takenInSecond(budget: RecheckBudget, sinceMs: number): number {
  let taken = 0;
  for (let nowMs = sinceMs; nowMs < sinceMs + 1000; nowMs += 1) {
    if (!budget.take(nowMs)) continue;
    taken += 1;
    budget.noteResult("answer", nowMs);
  }
  return taken;
}

/** A budget of a node on which so many questions a second are answered, for a minute. */
function usedBudget(perSecond: number): RecheckBudget {
  const budget = createRecheckBudget();
  for (let nowMs = 0; nowMs < 60_000; nowMs += 1000 / perSecond) budget.noteResult("answer", nowMs);
  return budget;
}

test("A and AAAA of one name may be asked at once on a node of which nothing is known, then one in two seconds", () => {
  const budget = createRecheckBudget();
  expect([budget.take(0), budget.take(0), budget.take(0)]).toEqual([true, true, false]);
  expect([budget.take(1999), budget.take(2000), budget.take(2000)]).toEqual([false, true, false]);
});

test.each([4, 20, 100])("a node that asks %i questions a second may ask as many again", (perSecond) => {
  const budget = usedBudget(perSecond);
  // A second's worth is at hand, and comes in again.
  expect(takenInSecond(budget, 60_000)).toBeLessThanOrEqual(2 * perSecond);
  expect(takenInSecond(budget, 61_000)).toBeGreaterThanOrEqual(perSecond - 1);
  expect(takenInSecond(budget, 62_000)).toBeLessThanOrEqual(perSecond + 1);
});

test("while nothing is answered, there is one try every five seconds", () => {
  const budget = usedBudget(20);
  for (let count = 0; count < 4; count += 1) budget.noteResult("failure", 60_000);
  const taken = [];
  for (let nowMs = 60_000; nowMs < 75_000; nowMs += 100) if (budget.take(nowMs)) taken.push(nowMs);
  expect(taken).toEqual([60_000, 65_000, 70_000]);
});

test("the same, with not one failure, while it is known that upstream is away", () => {
  const budget = usedBudget(20);
  const taken = [];
  for (let nowMs = 60_000; nowMs < 75_000; nowMs += 100) if (budget.take(nowMs, true)) taken.push(nowMs);
  expect(taken).toEqual([60_000, 65_000, 70_000]);
});

test("one answer ends that: from then on the usual number may be asked", () => {
  const budget = usedBudget(20);
  for (let count = 0; count < 100; count += 1) budget.noteResult("failure", 60_000 + 1000 * count);
  expect(budget.take(160_000)).toBe(true);
  budget.noteResult("answer", 160_001);
  expect(takenInSecond(budget, 160_002)).toBeGreaterThanOrEqual(19);
});

test("what is usual is not forgotten in an outage of an hour, in which nothing is answered", () => {
  const budget = usedBudget(20);
  for (let nowMs = 60_000; nowMs < 3_660_000; nowMs += 5000) budget.noteResult("failure", nowMs);
  budget.noteResult("answer", 3_660_000);
  expect(takenInSecond(budget, 3_661_000)).toBeGreaterThanOrEqual(19);
});

test("an onlooker sees the room and takes none, beside what it assumes to be taken", () => {
  const budget = createRecheckBudget();
  expect([0, 1, 2, 0].map((assumed) => budget.hasRoom(0, assumed))).toEqual([true, true, false, true]);
});

test("upstream is away after four questions in a row without a reply, and until the next reply, whatever it says", () => {
  const budget = createRecheckBudget();
  const isAwayAfter = (outcome: AskOutcome) => {
    budget.noteResult(outcome, 0);
    return budget.isAway();
  };
  const silence = Array.from({ length: 4 }, () => "silence" as const);
  expect(silence.map(isAwayAfter)).toEqual([false, false, false, true]);
  expect(isAwayAfter("failure")).toBe(false);
  expect(silence.map(isAwayAfter)).toEqual([false, false, false, true]);
  expect(isAwayAfter("answer")).toBe(false);
});

test("each route has its own budget", () => {
  const budgetOf = createRecheckBudgets();
  for (let count = 0; count < 4; count += 1) budgetOf("stub").noteResult("silence", 0);
  expect([budgetOf("stub").isAway(), budgetOf("outside").isAway()]).toEqual([true, false]);
});
