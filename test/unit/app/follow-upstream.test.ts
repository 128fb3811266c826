/*
 * What is done when a server goes down or comes back.
 */
import { expect, onTestFinished, test, vi } from "vitest";
import { createUpstreamFollower } from "../../../src/app/follow-upstream.ts";
import { createFakeClock } from "../../support/program/fake-clock.ts";

/** A follower with a record of what it did. `random` stands for every choice of chance. */
function followed(random: number) {
  const clock = createFakeClock();
  const done: string[] = [];
  const chance = vi.spyOn(Math, "random").mockReturnValue(random);
  onTestFinished(() => chance.mockRestore());
  const follow = createUpstreamFollower({
    failures: { relax: () => void done.push("relaxed") },
    clock,
    learn: async () => void done.push("learned"),
    watchForLoops: async () => void done.push("looked for loops"),
  });
  return { clock, done, follow };
}

test("a server that comes back may be asked what it failed to answer, at once", () => {
  const { done, follow } = followed(0.5);
  follow(true);
  expect(done).toEqual(["relaxed"]);
});

test.each([
  [0, 0],
  [0.5, 2500],
  [0.999, 4995],
])(
  "the zone is asked about itself within five seconds, by chance (%d: %i ms): not by all nodes at once",
  async (random, ms) => {
    const { clock, done, follow } = followed(random);
    follow(true);
    await clock.advance(Math.max(0, ms - 1));
    expect(done.includes("learned")).toBe(ms === 0);
    await clock.advance(1);
    expect(done).toEqual(["relaxed", "learned"]);
  },
);

test("a server that comes and goes has the zone asked once, not at every return", async () => {
  const { clock, done, follow } = followed(0.5);
  for (let count = 0; count < 5; count += 1) follow(true);
  await clock.advance(10_000);
  expect(done.filter((each) => each === "learned")).toHaveLength(1);
});

test("a server that goes down may be this very process: the upstream may lead back here", () => {
  const { done, follow } = followed(0.5);
  follow(false);
  expect(done).toEqual(["looked for loops"]);
});
