import { expect, test } from "vitest";
import type { Flow } from "../../../src/flows/flow.ts";
import { createFlowDepth } from "../../../src/upstream/flow-depth.ts";
import { createFakeClock } from "../../support/program/fake-clock.ts";

/** A depth of 8, whose bound may be changed, and how often it said that there is room. */
function createDepth() {
  const clock = createFakeClock();
  const limits = { max: 8 };
  const seen = { rooms: 0 };
  const depth = createFlowDepth(
    () => limits.max,
    clock,
    () => void (seen.rooms += 1),
  );
  return { ...depth, clock, limits, seen };
}

/** A flow that owes and has answered so many. */
function flowWith(load: number, answered = 0): Flow {
  return { load: () => load, answeredCount: () => answered } as Flow;
}

const closed = { reason: "closed", answered: 2, unanswered: 3 } as const;

test("a flow has room up to the bound of the settings, also when that changes", () => {
  const depth = createDepth();
  expect([7, 8].map((load) => depth.hasRoom(flowWith(load)))).toEqual([true, false]);
  depth.limits.max = 4;
  expect(depth.hasRoom(flowWith(4))).toBe(false);
});

test("a server that ends a connection with questions unread is given as many as it answered", () => {
  const depth = createDepth();
  depth.noteEnd(flowWith(3), closed);
  expect([1, 2].map((load) => depth.hasRoom(flowWith(load)))).toEqual([true, false]);
});

test("so is one that breaks it, also before it answered anything", () => {
  const depth = createDepth();
  depth.noteEnd(flowWith(3), { reason: "unusable", answered: 0, unanswered: 3 });
  expect([0, 1].map((load) => depth.hasRoom(flowWith(load)))).toEqual([true, false]);
});

test.each([
  ["no answer at all", { ...closed, answered: 0 }],
  ["nothing left unanswered", { ...closed, unanswered: 0 }],
  ["silence", { ...closed, reason: "timeout" as const }],
])("an end with %s says nothing of the depth", (_, end) => {
  const depth = createDepth();
  depth.noteEnd(flowWith(0), end);
  expect(depth.hasRoom(flowWith(7))).toBe(true);
});

test("it is given more again as it answers, up to the bound", () => {
  const depth = createDepth();
  depth.noteEnd(flowWith(3), closed);
  depth.noteHeard(flowWith(1, 4));
  expect([3, 4].map((load) => depth.hasRoom(flowWith(load)))).toEqual([true, false]);
  depth.noteHeard(flowWith(1, 8));
  expect(depth.hasRoom(flowWith(7))).toBe(true);
});

test("an answer of such a server is given 5 ms before the next question is risked on its flow", async () => {
  const depth = createDepth();
  const flow = flowWith(0, 1);
  depth.noteHeard(flow);
  expect(depth.hasRoom(flow)).toBe(true);
  depth.noteEnd(flowWith(3), closed);
  depth.noteHeard(flow);
  expect([depth.hasRoom(flow), depth.hasRoom(flowWith(0))]).toEqual([false, true]);
  await depth.clock.advance(5);
  expect([depth.hasRoom(flow), depth.seen.rooms]).toEqual([true, 1]);
});

test("nobody is told of room on a flow that has ended meanwhile", async () => {
  const depth = createDepth();
  const flow = flowWith(0, 1);
  depth.noteEnd(flowWith(3), closed);
  depth.noteHeard(flow);
  depth.noteEnd(flow, closed);
  await depth.clock.advance(5);
  expect(depth.seen.rooms).toBe(0);
});
