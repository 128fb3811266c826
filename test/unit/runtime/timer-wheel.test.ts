import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createTimerWheel } from "../../../src/runtime/timer-wheel.ts";

/** A wheel on a system whose time and timers a test moves. */
function createWheel(startMs = 1234.5) {
  let nowMs = startMs;
  let due: { readonly atMs: number; readonly action: () => void } | undefined;
  let wakes = 0;
  const wheel = createTimerWheel(
    () => nowMs,
    (delayMs, action) => {
      const set = { atMs: nowMs + delayMs, action };
      due = set;
      return () => {
        if (due === set) due = undefined;
      };
    },
  );

  /** Moves time, and calls the system's timers at their moments. */
  function advance(ms: number): void {
    const untilMs = nowMs + ms;
    while (due !== undefined && due.atMs <= untilMs) {
      const { atMs, action } = due;
      due = undefined;
      nowMs = Math.max(nowMs, atMs);
      wakes += 1;
      action();
    }
    nowMs = untilMs;
  }

  /** Moves time while the process stands still, then calls what is due. */
  function standStill(ms: number): void {
    nowMs += ms;
    advance(0);
  }

  const called: string[] = [];
  const after = (delayMs: number, what: string) => wheel.after(delayMs, () => called.push(what));
  return {
    wheel,
    after,
    called,
    advance,
    standStill,
    nowMs: () => nowMs,
    wakes: () => wakes,
    isWaiting: () => due !== undefined,
  };
}

describe("a wheel of timers", () => {
  test("calls each once, at its moment and at most two milliseconds later", () => {
    const { wheel, advance, nowMs } = createWheel();
    const late: number[] = [];
    for (const delayMs of [0, 0.3, 1, 7.5, 30, 5000]) {
      const dueMs = nowMs() + delayMs;
      wheel.after(delayMs, () => late.push(nowMs() - dueMs));
    }
    advance(6000);
    expect(late.length).toBe(6);
    for (const lateMs of late) {
      expect(lateMs).toBeGreaterThanOrEqual(0);
      expect(lateMs).toBeLessThanOrEqual(2);
    }
  });

  test("does not call what was cancelled, and cancelling again or too late does nothing", () => {
    const { after, called, advance } = createWheel();
    const cancel = after(10, "cancelled");
    const tooLate = after(10, "called");
    after(10, "also called");
    cancel();
    cancel();
    advance(20);
    tooLate();
    after(10, "later");
    cancel();
    tooLate();
    advance(20);
    expect(called).toEqual(["called", "also called", "later"]);
  });

  test("calls what is due at the same time in the order in which it was set", () => {
    const { after, called, advance } = createWheel(1000);
    for (const what of ["a", "b", "c", "d"]) after(5, what);
    after(4, "before");
    advance(10);
    expect(called).toEqual(["before", "a", "b", "c", "d"]);
  });

  test("an action may set timers and cancel those that are due with it", () => {
    const { wheel, after, called, advance } = createWheel();
    let cancel = () => {};
    wheel.after(5, () => {
      cancel();
      after(0, "at once");
      after(3, "soon");
    });
    cancel = after(5, "cancelled");
    advance(5.5);
    expect(called).toEqual([]);
    advance(10);
    expect(called).toEqual(["at once", "soon"]);
  });

  test("calls what is due in an hour then, and not before", () => {
    const { after, called, advance } = createWheel();
    after(3_600_000, "in an hour");
    // In the same slot.
    after(3_600_000 % 8192, "soon");
    advance(3_599_999);
    expect(called).toEqual(["soon"]);
    advance(3);
    expect(called).toEqual(["soon", "in an hour"]);
  });

  test.each([50, 60_000])("calls all that became due while the process stood still for %i ms", (ms) => {
    const { after, called, standStill, advance } = createWheel();
    after(10, "first");
    after(40, "second");
    after(ms + 100, "not yet");
    standStill(ms);
    expect(called).toEqual(["first", "second"]);
    advance(200);
    expect(called).toEqual(["first", "second", "not yet"]);
  });

  test("an action that throws takes no other with it", () => {
    const { wheel, after, called, advance } = createWheel(1000);
    wheel.after(5, () => {
      throw new Error("planted");
    });
    after(5, "same moment");
    after(6, "next");
    expect(() => advance(20)).toThrow("planted");
    advance(20);
    expect(called).toEqual(["same moment", "next"]);
  });

  test("sets no timer of the system's while it has none, and one however many it has", () => {
    const { after, advance, wakes, isWaiting } = createWheel();
    expect(isWaiting()).toBe(false);
    const cancels = Array.from({ length: 10_000 }, (_, nth) => after(30 + nth / 1000, "never"));
    for (const cancel of cancels) cancel();
    after(20_000, "far");
    advance(21_000);
    // What was cancelled, and the far one once in each turn of the wheel.
    expect(wakes()).toBeLessThan(8);
    expect(isWaiting()).toBe(false);
  });

  test("does what a list of timers does, whatever is set and cancelled when", () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant("set"), ms: fc.oneof(fc.nat(50), fc.nat(20_000)) }),
      fc.record({ kind: fc.constant("cancel"), ms: fc.nat(30) }),
      fc.record({ kind: fc.constant("pass"), ms: fc.oneof(fc.nat(40), fc.nat(10_000)) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { wheel, advance, nowMs } = createWheel();
        const expected = new Map<number, number>();
        const cancels: (() => void)[] = [];
        for (const { kind, ms } of steps) {
          if (kind === "pass") {
            advance(ms);
            for (const dueMs of expected.values()) expect(dueMs).toBeGreaterThan(nowMs() - 2);
          } else if (kind === "set") {
            const number = cancels.length;
            expected.set(number, nowMs() + ms);
            cancels.push(
              wheel.after(ms, () => {
                expect(nowMs()).toBeGreaterThanOrEqual(expected.get(number) ?? Infinity);
                expected.delete(number);
              }),
            );
          } else if (cancels.length > 0) {
            const number = ms % cancels.length;
            cancels[number]?.();
            expected.delete(number);
          }
        }
        advance(60_000);
        expect(expected.size).toBe(0);
      }),
      { numRuns: 300 },
    );
  });
});
