import { describe, expect, test } from "vitest";
import { createRoundTrip } from "../../../src/flows/round-trip.ts";

function after(samples: readonly number[]) {
  const roundTrip = createRoundTrip(800);
  for (const sample of samples) roundTrip.note(sample);
  return roundTrip;
}

const times = (count: number, ms: number) => Array.from({ length: count }, () => ms);

describe("patience", () => {
  test("is at least 30 ms, however quick the path", () => {
    expect(after(times(20, 1)).patienceMs()).toBe(30);
  });

  test("is at most 800 ms, however slow the path; only silence may last longer", () => {
    const roundTrip = after([1000]);
    expect(roundTrip.patienceMs()).toBe(800);
    expect(roundTrip.silenceMs()).toBe(2000);
  });

  test("follows the round trip and how much it varies (RFC 6298)", () => {
    expect(after([100]).patienceMs()).toBe(300);
    expect(after(times(50, 100)).patienceMs()).toBeCloseTo(100, 0);
  });

  test("does not change for one slow name, or for a few", () => {
    expect(after([...times(20, 1), ...times(5, 2000)]).patienceMs()).toBe(30);
  });

  test("follows a path that has become slow, by the quickest of its late answers", () => {
    const roundTrip = after([...times(20, 1), ...times(11, 300), 200]);
    expect(roundTrip.patienceMs()).toBe(600);
  });
});

test("a slow name is waited for as long as the longest wait, and two seconds at most", () => {
  expect(after(times(20, 1)).slowNameMs()).toBe(800);
  expect(after([5000]).slowNameMs()).toBe(2000);
});

describe("a path about which nothing is known", () => {
  test("is given time", () => {
    expect(createRoundTrip(800).patienceMs()).toBe(400);
  });

  test("is expected to be as quick as another path to the same server, and its handshake", () => {
    const other = after(times(20, 1));
    expect(createRoundTrip(800, () => other).patienceMs()).toBe(120);
    expect(createRoundTrip(800, () => after([500])).patienceMs()).toBe(400);
  });

  test("does not believe a first answer that is far later than that: a packet was lost, or a name is slow", () => {
    const other = after(times(20, 1));
    const roundTrip = createRoundTrip(800, () => other);
    roundTrip.note(600);
    expect(roundTrip.patienceMs()).toBe(120);
    for (const sample of times(12, 600)) roundTrip.note(sample);
    expect(roundTrip.patienceMs()).toBe(800);
  });
});

describe("questions that come behind others", () => {
  test("wait, if each is answered a round trip after the one before", () => {
    const roundTrip = after(times(20, 50));
    for (const behindMs of [20, 40, 15, 90]) roundTrip.noteBehind(50 + behindMs, behindMs);
    expect(roundTrip.isQueueing()).toBe(true);
  });

  test("do not wait, if they take no longer than one alone, however many they are", () => {
    const roundTrip = after(times(20, 50));
    for (const sample of times(200, 52)) roundTrip.noteBehind(sample, 49);
    expect(roundTrip.isQueueing()).toBe(false);
  });

  test("are not known to wait or not before one has come", () => {
    expect(after(times(20, 1)).isQueueing()).toBeUndefined();
  });

  test("say nothing if they stood behind the very end of another's time", () => {
    const roundTrip = after(times(20, 50));
    for (const sample of times(20, 52)) roundTrip.noteBehind(sample, 2);
    expect(roundTrip.isQueueing()).toBeUndefined();
  });

  test("do not wait for what the scheduler adds", () => {
    const roundTrip = after(times(20, 0.2));
    for (const sample of times(20, 1.1)) roundTrip.noteBehind(sample, 1);
    expect(roundTrip.isQueueing()).toBe(false);
  });

  test("are still known to wait after some that stood behind one for a moment, as on trial where an answer takes a millisecond", () => {
    const roundTrip = after(times(20, 1));
    for (const behindMs of [3, 6, 9]) roundTrip.noteBehind(1 + behindMs, behindMs);
    for (const sample of times(20, 1.8)) roundTrip.noteBehind(sample, 0.9);
    expect(roundTrip.isQueueing()).toBe(true);
  });

  test("are soon seen not to wait after a slow name", () => {
    const roundTrip = after(times(20, 10));
    for (const sample of [...times(20, 10), 2000, ...times(10, 10)]) roundTrip.noteBehind(sample, sample - 1);
    expect(roundTrip.isQueueing()).toBe(false);
  });

  test("are let wait once in a thousand that came alone, to see whether that still takes long", () => {
    const roundTrip = after(times(999, 1));
    expect(roundTrip.takeTrial()).toBe(false);
    roundTrip.note(1);
    expect([roundTrip.takeTrial(), roundTrip.takeTrial()]).toEqual([true, false]);
  });
});
