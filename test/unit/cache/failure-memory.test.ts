import { describe, expect, test } from "vitest";
import { createFailureMemory } from "../../../src/cache/failure-memory.ts";

const servfail = 2;
const limits = { firstTtlSeconds: 1, maxTtlSeconds: 5 };

describe("a failure that repeats", () => {
  test("is remembered for 1, 2, 4 and then 5 seconds", () => {
    const failures = createFailureMemory(limits);
    let nowMs = 1000;
    const lives = Array.from({ length: 6 }, () => {
      const { untilMs } = failures.remember("q", servfail, 0, nowMs);
      const lifeMs = untilMs - nowMs;
      nowMs = untilMs;
      return lifeMs;
    });
    expect(lives).toEqual([1000, 2000, 4000, 5000, 5000, 5000]);
  });

  test("counts the failures in a row", () => {
    const failures = createFailureMemory(limits);
    failures.remember("q", servfail, 0, 0);
    expect(failures.remember("q", servfail, 0, 10_000)).toMatchObject({ count: 2 });
  });

  test("starts over once the question has been answered", () => {
    const failures = createFailureMemory(limits);
    for (const nowMs of [0, 1000, 3000]) failures.remember("q", servfail, 0, nowMs);
    failures.forget("q");
    expect(failures.find("q", 3000)).toBeUndefined();
    expect(failures.remember("q", servfail, 0, 3000)).toMatchObject({ count: 1, untilMs: 4000 });
  });

  test("stays at its limit however often it repeats", () => {
    const failures = createFailureMemory({ firstTtlSeconds: 5, maxTtlSeconds: 300 });
    for (let count = 0; count < 2000; count += 1) failures.remember("q", servfail, 0, 0);
    expect(failures.find("q", 299_999)).toMatchObject({ untilMs: 300_000 });
  });
});

describe("find", () => {
  test.each([
    [0, true],
    [999, true],
    [1000, false],
  ])("C8: at %i ms a failure of 1 s holds: %s", (nowMs, holds) => {
    const failures = createFailureMemory(limits);
    failures.remember("q", servfail, 0, 0);
    expect(failures.find("q", nowMs) !== undefined).toBe(holds);
  });

  test("gives the rcode that clients get", () => {
    const failures = createFailureMemory(limits);
    failures.remember("q", 4, 0, 0);
    expect(failures.find("q", 0)).toMatchObject({ rcode: 4 });
  });

  test("knows nothing about another question", () => {
    const failures = createFailureMemory(limits);
    failures.remember("q", servfail, 0, 0);
    expect(failures.find("r", 0)).toBeUndefined();
  });
});

test("a caller may ask for a longer wait than the back-off, but not for a shorter one", () => {
  const failures = createFailureMemory(limits);
  expect(failures.remember("stale", servfail, 30, 0)).toMatchObject({ untilMs: 30_000 });
  expect(failures.remember("q", servfail, 0.5, 0)).toMatchObject({ untilMs: 1000 });
});

describe("once upstream is back", () => {
  /** A question that failed three times in a row, the last time at 3000 ms: remembered until 7000 ms if nothing happens. */
  function failedThrice() {
    const failures = createFailureMemory(limits);
    for (const nowMs of [0, 1000, 3000]) failures.remember("q", servfail, 0, nowMs);
    return failures;
  }

  test.each([
    [3999, true],
    [4000, false],
    [6999, false],
  ])("at %i ms a failure of 3000 ms holds: %s, because a second is the minimum (RFC 9520 §3.2)", (nowMs, holds) => {
    const failures = failedThrice();
    failures.relax(3500);
    expect(failures.find("q", nowMs) !== undefined).toBe(holds);
  });

  test("a long wait for the sake of a stale answer ends too", () => {
    const failures = createFailureMemory(limits);
    failures.remember("q", servfail, 30, 0);
    failures.relax(5000);
    expect(failures.find("q", 5000)).toBeUndefined();
  });

  test("what fails after that is remembered for the full time again", () => {
    const failures = failedThrice();
    failures.relax(3500);
    failures.remember("q", servfail, 0, 4000);
    failures.remember("r", servfail, 30, 4000);
    expect(failures.find("q", 8999)).toBeDefined();
    expect(failures.find("r", 33_999)).toBeDefined();
  });
});

test("a question that was not even asked counts as failed, does not hold, and does not lengthen the pause after the first failure", () => {
  const failures = createFailureMemory(limits);
  failures.noteUnasked("q", servfail, 0);
  expect([failures.hasFailed("q"), failures.find("q", 0)]).toEqual([true, undefined]);
  expect(failures.remember("q", servfail, 0, 0)).toMatchObject({ count: 1 });
  failures.noteUnasked("q", servfail, 0);
  expect(failures.find("q", 0)).toMatchObject({ count: 1 });
});

test("remembers at most 10,000 failures: the least recently used is forgotten first", () => {
  const failures = createFailureMemory(limits);
  failures.remember("first", servfail, 0, 0);
  failures.remember("second", servfail, 0, 0);
  for (let index = 0; index < 9998; index += 1) failures.remember(`q${index}`, servfail, 0, 0);
  failures.find("first", 0);
  failures.remember("one more", servfail, 0, 0);
  expect(failures.find("first", 0)).toBeDefined();
  expect(failures.find("second", 0)).toBeUndefined();
  expect(failures.find("one more", 0)).toBeDefined();
});

test("limits changed by a reload hold for the next failure", () => {
  const mutable = { ...limits };
  const failures = createFailureMemory(mutable);
  mutable.firstTtlSeconds = 3;
  expect(failures.remember("q", servfail, 0, 0)).toMatchObject({ untilMs: 3000 });
});
