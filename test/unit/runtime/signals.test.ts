import { describe, expect, onTestFinished, test } from "vitest";
import { handleSignals } from "../../../src/runtime/signals.ts";
import { createFakeClock, type FakeClock } from "../../support/program/fake-clock.ts";

/** Handles signals until the test ends, and writes down what they asked for. */
function listen(): { asked: string[]; clock: FakeClock; stopListening: () => void } {
  const clock = createFakeClock();
  const asked: string[] = [];
  const actions = {
    stop: (signal: string) => asked.push(`stop by ${signal}`),
    stopAtOnce: () => asked.push("stop at once"),
    reload: () => asked.push("reload"),
  };
  const stopListening = handleSignals(actions, clock);
  onTestFinished(stopListening);
  return { asked, clock, stopListening };
}

/** As if the system had delivered it, but only to the handlers under test. */
function deliver(signal: "SIGTERM" | "SIGINT" | "SIGHUP"): void {
  process.emit(signal);
}

describe("signals", () => {
  test.each(["SIGTERM", "SIGINT"] as const)("the first %s stops the process", (signal) => {
    const { asked } = listen();
    deliver(signal);
    expect(asked).toEqual([`stop by ${signal}`]);
  });

  test.each([
    ["SIGINT", "SIGINT", 0],
    ["SIGINT", "SIGTERM", 5],
    ["SIGTERM", "SIGINT", 999],
  ] as const)("%s and then %s within %i ms count as one", async (first, second, ms) => {
    const { asked, clock } = listen();
    deliver(first);
    await clock.advance(ms);
    deliver(second);
    expect(asked).toEqual([`stop by ${first}`]);
  });

  test.each([
    ["SIGINT", "SIGINT"],
    ["SIGTERM", "SIGINT"],
    ["SIGTERM", "SIGTERM"],
  ] as const)("%s, and %s more than a second later, stops at once", async (first, second) => {
    const { asked, clock } = listen();
    deliver(first);
    await clock.advance(1001);
    deliver(second);
    expect(asked).toEqual([`stop by ${first}`, "stop at once"]);
  });

  test("a second signal that comes twice does not swallow the third", async () => {
    const { asked, clock } = listen();
    deliver("SIGINT");
    deliver("SIGTERM");
    await clock.advance(2000);
    deliver("SIGINT");
    expect(asked).toEqual(["stop by SIGINT", "stop at once"]);
  });

  test("every SIGHUP reloads, and none stops the process", () => {
    const { asked } = listen();
    deliver("SIGHUP");
    deliver("SIGHUP");
    expect(asked).toEqual(["reload", "reload"]);
  });

  test("a SIGHUP in between does not make the next signal the second", () => {
    const { asked } = listen();
    deliver("SIGHUP");
    deliver("SIGTERM");
    expect(asked).toEqual(["reload", "stop by SIGTERM"]);
  });

  test("nothing is called after listening has stopped, and nothing stays registered", () => {
    const counts = () => ["SIGTERM", "SIGINT", "SIGHUP"].map((signal) => process.listenerCount(signal));
    const before = counts();
    const { asked, stopListening } = listen();
    expect(counts()).toEqual(before.map((count) => count + 1));
    stopListening();
    expect(counts()).toEqual(before);
    expect(asked).toEqual([]);
  });
});
