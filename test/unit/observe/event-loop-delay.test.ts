import { expect, onTestFinished, test } from "vitest";
import { watchEventLoopDelay } from "../../../src/observe/event-loop-delay.ts";
import type { Clock } from "../../../src/runtime/clock.ts";
import { createFakeClock } from "../../support/program/fake-clock.ts";

test("timers that run in time count as no delay", async () => {
  const clock = createFakeClock();
  const { delays, close } = watchEventLoopDelay(clock);
  onTestFinished(close);
  await clock.advance(1000);
  expect({ counts: delays.counts[0], sum: delays.sum }).toEqual({ counts: 4, sum: 0 });
});

test("a loop that was held up for 300 ms counts as a delay of 300 ms", () => {
  let nowMs = 0;
  let run = (): void => {};
  const clock: Clock = {
    nowMs: () => nowMs,
    wallMs: () => nowMs,
    after(delayMs, action) {
      run = () => {
        nowMs += delayMs + 300;
        action();
      };
      return () => {};
    },
    pause: () => new Promise(() => {}),
    afterIo: (action) => action(),
  };
  const { delays } = watchEventLoopDelay(clock);
  run();
  expect(delays.sum).toBeCloseTo(0.3);
});

test("nothing runs any more after close", async () => {
  const clock = createFakeClock();
  const { close } = watchEventLoopDelay(clock);
  await clock.advance(300);
  close();
  expect(clock.pendingTimers()).toBe(0);
});
