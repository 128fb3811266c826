/*
 * The clock of the simulated fleet, and the chance that it can repeat.
 */
import { expect, test } from "vitest";
import { createChance, seedMathRandom } from "../../../bench/fleet/chance.ts";
import { createEventClock } from "../../../bench/fleet/event-clock.ts";
import { fleetOf, simulate } from "../../../bench/fleet/simulate.ts";
import { situations } from "../../../bench/fleet/situations.ts";

test("runs ten thousand timers in the order of their moments, those of one moment in the order of their making", async () => {
  const clock = createEventClock();
  const chance = createChance(7);
  const ran: { readonly atMs: number; readonly nth: number }[] = [];
  for (let nth = 0; nth < 10_000; nth += 1)
    clock.after(Math.floor(chance() * 1000), () => ran.push({ atMs: clock.nowMs(), nth }));
  await clock.run(1001);
  expect(ran).toHaveLength(10_000);
  expect(ran).toEqual(ran.toSorted((one, other) => one.atMs - other.atMs || one.nth - other.nth));
});

test("settles promises, and what they start at once, before time goes on", async () => {
  const clock = createEventClock();
  const seen: number[] = [];
  clock.after(1, async () => {
    for (let turn = 0; turn < 50; turn += 1) await Promise.resolve();
    clock.after(0, () => seen.push(clock.nowMs()));
  });
  clock.after(1.25, () => seen.push(clock.nowMs()));
  await clock.run(2);
  expect(seen).toEqual([1, 1.25]);
});

test("a cancelled timer does not run, and what is due later waits for the next run", async () => {
  const clock = createEventClock();
  const seen: string[] = [];
  clock.after(5, () => seen.push("cancelled"))();
  clock.after(10, () => seen.push("later"));
  await clock.run(10);
  expect(seen).toEqual([]);
  await clock.run(11);
  expect(seen).toEqual(["later"]);
});

test("Math.random follows the seed until it is released", () => {
  const original = Math.random;
  const release = seedMathRandom(createChance(1));
  const seeded = [Math.random(), Math.random()];
  release();
  const chance = createChance(1);
  expect(seeded).toEqual([chance(), chance()]);
  expect(Math.random).toBe(original);
});

test("the same seed is the same run, another seed another one", async () => {
  const short = { ...situations.quiet, endsAtSecond: 15 };
  const [one, same, other] = [
    await simulate(short, fleetOf({ nodes: 10, seed: 1 })),
    await simulate(short, fleetOf({ nodes: 10, seed: 1 })),
    await simulate(short, fleetOf({ nodes: 10, seed: 2 })),
  ];
  expect(same).toEqual(one);
  expect(other.questions).not.toEqual(one.questions);
});
