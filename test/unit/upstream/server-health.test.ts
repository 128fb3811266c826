import { expect, test, vi } from "vitest";
import { watchServerHealth } from "../../../src/upstream/server-health.ts";
import { createFakeClock } from "../../support/program/fake-clock.ts";

function watched() {
  const clock = createFakeClock();
  const onChange = vi.fn<(isUp: boolean) => void>();
  return { clock, onChange, health: watchServerHealth(clock, onChange) };
}

test("a server is up until no path to it works, and up again with its first reply", () => {
  const { health, onChange } = watched();
  expect(health.isUp()).toBe(true);
  health.noteDown();
  health.noteDown();
  expect(health.isUp()).toBe(false);
  health.noteHeard();
  health.noteHeard();
  expect(health.isUp()).toBe(true);
  expect(onChange.mock.calls).toEqual([[false], [true]]);
});

test("after three refusals in a row it is left for a while; an answer in between restarts the count", async () => {
  const { health, clock } = watched();
  for (const isRefusal of [true, true, false, true, true]) health.noteVerdict(isRefusal);
  expect(health.isRefusing()).toBe(false);
  health.noteVerdict(true);
  expect(health.isRefusing()).toBe(true);
  await clock.advance(5000);
  expect(health.isRefusing()).toBe(false);
});

test("one that still refuses after that time is left for twice as long, up to a minute", async () => {
  const { health, clock } = watched();
  for (let count = 0; count < 3; count += 1) health.noteVerdict(true);
  for (const leftMs of [5000, 10_000, 20_000, 40_000, 60_000, 60_000]) {
    await clock.advance(leftMs - 1);
    expect(health.isRefusing()).toBe(true);
    await clock.advance(1);
    expect(health.isRefusing()).toBe(false);
    health.noteVerdict(true);
  }
});
