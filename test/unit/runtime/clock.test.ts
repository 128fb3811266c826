import { describe, expect, onTestFinished, test, vi } from "vitest";
import { createServerClock, systemClock, toNextBeatMs } from "../../../src/runtime/clock.ts";

describe.each([
  ["the system's clock", systemClock],
  ["a server's clock", createServerClock()],
])("%s", (_, clock) => {
  test("never goes back", () => {
    let last = clock.nowMs();
    for (let reading = 0; reading < 10_000; reading += 1) {
      const nowMs = clock.nowMs();
      expect(nowMs).toBeGreaterThanOrEqual(last);
      last = nowMs;
    }
  });

  test.each([3_600_000, -3_600_000])("C14: is unmoved by a wall clock that jumps %i ms", (jumpMs) => {
    vi.useFakeTimers({ toFake: ["Date"] });
    onTestFinished(() => void vi.useRealTimers());
    const before = clock.nowMs();
    vi.setSystemTime(Date.now() + jumpMs);
    expect(Math.abs(clock.nowMs() - before)).toBeLessThan(60_000);
  });

  test("calls back once, after the delay", async () => {
    const startMs = clock.nowMs();
    let calls = 0;
    await new Promise<void>((resolve) => {
      clock.after(5, () => {
        calls += 1;
        clock.after(5, resolve);
      });
    });
    expect(calls).toBe(1);
    // A timer may be a fraction of a millisecond early by another clock.
    expect(clock.nowMs() - startMs).toBeGreaterThan(9);
  });

  test("does not call back what is cancelled, and cancelling again does nothing", async () => {
    let calls = 0;
    const cancel = clock.after(1, () => (calls += 1));
    cancel();
    cancel();
    await new Promise<void>((resolve) => void clock.after(10, resolve));
    expect(calls).toBe(0);
  });

  test("a pending timer does not keep the process alive", () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    onTestFinished(() => void vi.useRealTimers());
    const setTimer = vi.spyOn(globalThis, "setTimeout");
    clock.after(60_000, () => {});
    const [timer] = setTimer.mock.results.map(({ value }) => value as NodeJS.Timeout);
    expect(timer?.hasRef()).toBe(false);
  });
});

describe("a beat", () => {
  test.each([
    ["on time", 5000, 500, 500],
    ["that began between two", 5070, 500, 430],
    ["whose timer ran a moment early", 4999.6, 500, 500.4],
    ["whose timer ran late", 5480, 500, 520],
  ])("%s is followed by one at a whole number of intervals, and never at once", (_, nowMs, intervalMs, leftMs) => {
    expect(toNextBeatMs({ nowMs: () => nowMs }, intervalMs)).toBeCloseTo(leftMs);
  });
});
