import { describe, expect, test } from "vitest";
import { createRoundTrip } from "../../../src/flows/round-trip.ts";
import { watchSilence } from "../../../src/flows/silence-watch.ts";
import type { Clock } from "../../../src/runtime/clock.ts";
import { createFakeClock } from "../../support/program/fake-clock.ts";

/** A watch over a flow whose path answers in a millisecond, with what it told and when. */
function watched(clockOf: (clock: Clock) => Clock = (clock) => clock) {
  const clock = createFakeClock(0);
  const roundTrip = createRoundTrip(800);
  roundTrip.note(1);
  const told: string[] = [];
  const watch = watchSilence(clockOf(clock), roundTrip, {
    onQuiet: () => told.push(`quiet at ${clock.nowMs()}`),
    onSilent: () => told.push(`silent at ${clock.nowMs()}`),
  });
  return { clock, watch, told };
}

describe("a flow that owes an answer", () => {
  test("and has never answered is silent after the path's round trip", async () => {
    const { clock, watch, told } = watched();
    watch.noteSent();
    await clock.advance(1000);
    expect(told).toEqual(["silent at 30"]);
    expect(watch.isSilent()).toBe(true);
  });

  test("and has answered before is first quiet, and silent only if it does not answer an easy question either", async () => {
    const { clock, watch, told } = watched();
    watch.noteSent();
    watch.noteHeard(true, false);
    await clock.advance(1000);
    expect(told).toEqual(["quiet at 30", "silent at 90"]);
  });

  test("and goes on answering others is never silent", async () => {
    const { clock, watch, told } = watched();
    watch.noteSent();
    for (let count = 0; count < 50; count += 1) {
      watch.noteHeard(true, false);
      await clock.advance(20);
    }
    expect(told).toEqual([]);
  });

  test("and answers only easy questions is asked them less and less often", async () => {
    const { clock, watch, told } = watched();
    watch.noteSent();
    watch.noteHeard(true, false);
    for (let ms = 0; ms < 3000; ms += 1) {
      const before = told.length;
      await clock.advance(1);
      if (told.length > before) watch.noteHeard(true, true);
    }
    expect(told.map((text) => text.split(" ")[0])).not.toContain("silent");
    expect(told.length).toBeLessThanOrEqual(8);
  });

  test("is no longer silent once it answers", async () => {
    const { clock, watch } = watched();
    watch.noteSent();
    await clock.advance(30);
    expect(watch.isSilent()).toBe(true);
    watch.noteHeard(false, false);
    expect(watch.isSilent()).toBe(false);
    await clock.advance(1000);
    expect(clock.pendingTimers()).toBe(0);
  });
});

describe("after a stall of the process", () => {
  test("what is already in the socket counts before the timer", async () => {
    let read = () => {};
    const { clock, watch, told } = watched((inner) => ({
      ...inner,
      afterIo(action) {
        read();
        action();
      },
    }));
    read = () => watch.noteHeard(false, false);
    watch.noteSent();
    await clock.advance(30);
    expect(told).toEqual([]);
  });

  test("a timer that is late starts again", async () => {
    const { clock, watch, told } = watched((inner) => ({
      ...inner,
      after: (delayMs, action) => inner.after(delayMs === 30 ? 1500 : delayMs, action),
    }));
    watch.noteSent();
    await clock.advance(1500);
    expect(told).toEqual([]);
    expect(watch.isSilent()).toBe(false);
  });
});

test("a flow that owes nothing has no timer", () => {
  const { clock } = watched();
  expect(clock.pendingTimers()).toBe(0);
});
