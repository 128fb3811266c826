import { expect, onTestFinished, test } from "vitest";
import { watchForRefusals } from "../../../src/app/watch-for-refusals.ts";
import { createFakeClock } from "../../support/program/fake-clock.ts";

function start() {
  const clock = createFakeClock();
  const said: string[] = [];
  const socket = () => ({ unsent: { forbidden: 0, other: 0 } });
  const counters: [ReturnType<typeof socket>, ReturnType<typeof socket>] = [socket(), socket()];
  const state = { isOver: false };
  const note = (_: object, message: string) => void said.push(message);
  const log = { info: note, warn: note, error: note };
  void watchForRefusals({ clock, log, counters: () => counters, isOver: () => state.isOver });
  onTestFinished(() => void (state.isOver = true));
  return { clock, said, counters, state };
}

test("replies that the kernel refuses are told within seconds, once, and so is the end of it", async () => {
  const { clock, said, counters } = start();
  await clock.advance(30_000);
  expect(said).toEqual([]);
  counters[1].unsent.forbidden = 3;
  await clock.advance(5000);
  expect(said).toEqual([expect.stringContaining("refuses to send replies")]);
  counters[0].unsent.forbidden = 1;
  await clock.advance(60_000);
  expect(said).toHaveLength(1);
  await clock.advance(10_000);
  expect(said.slice(1)).toEqual(["replies to pods are no longer refused"]);
});

test("a client that is gone is nothing to tell", async () => {
  const { clock, said, counters } = start();
  counters[0].unsent.other = 100;
  await clock.advance(60_000);
  expect(said).toEqual([]);
});

test("it ends with nodens", async () => {
  const { clock, state } = start();
  state.isOver = true;
  await clock.advance(10_000);
  expect(clock.pendingTimers()).toBe(0);
});
