import { expect, test } from "vitest";
import { createAttemptQueue } from "../../../src/upstream/attempt-queue.ts";
import { track } from "../flows/flow-parts.ts";

/** A queue with attempts for these names, and what was sent out of it. */
function queueOf(...names: string[]) {
  const queue = createAttemptQueue();
  const sent: string[] = [];
  const tracked = names.map((name) => track(name));
  const cancels = tracked.map(({ attempt }) => queue.add(attempt));
  /** Sends at most `room` of them. */
  function send(room = Infinity, cancel = () => {}): void {
    let left = room;
    queue.sendWith((attempt) => {
      if (left === 0) return undefined;
      left -= 1;
      sent.push(names[tracked.findIndex((each) => each.attempt === attempt)] ?? "");
      return cancel;
    });
  }
  return { queue, tracked, cancels, sent, send };
}

test("the first come is the first sent, and what finds no room keeps its place", () => {
  const { queue, sent, send } = queueOf("a", "b", "c");
  send(1);
  expect(queue.isEmpty()).toBe(false);
  send(1);
  send();
  expect(sent).toEqual(["a", "b", "c"]);
  expect(queue.isEmpty()).toBe(true);
});

test("an attempt that is taken back is not sent", () => {
  const { cancels, sent, send } = queueOf("a", "b");
  cancels[0]?.();
  send();
  expect(sent).toEqual(["b"]);
});

test("one that was sent meanwhile is taken back from its flow", () => {
  const { cancels, send } = queueOf("a");
  let isTakenBack = false;
  send(1, () => (isTakenBack = true));
  cancels[0]?.();
  expect(isTakenBack).toBe(true);
});

test("a loss reaches all that wait, but not what comes again because of it", () => {
  const queue = createAttemptQueue();
  const again = track("a");
  const first = track("a", () => void queue.add(again.attempt));
  const second = track("b");
  for (const { attempt } of [first, second]) queue.add(attempt);
  queue.loseAll("refused");
  expect([first, second, again].map((each) => each.outcome())).toEqual(["refused", "refused", "waiting"]);
  expect(queue.isEmpty()).toBe(false);
});

test("a loss does not reach what it takes back", () => {
  const queue = createAttemptQueue();
  let takeBack = () => {};
  const first = track("a", () => takeBack());
  const second = track("b");
  queue.add(first.attempt);
  takeBack = queue.add(second.attempt);
  queue.loseAll("closed");
  expect([first, second].map((each) => each.outcome())).toEqual(["closed", "waiting"]);
});
