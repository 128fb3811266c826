import { describe, expect, test } from "vitest";
import { createEarlySends } from "../../../src/upstream/early-sends.ts";
import { createFakeClock } from "../../support/program/fake-clock.ts";

function createBudget() {
  const clock = createFakeClock();
  return { clock, budget: createEarlySends(clock) };
}

describe("the budget for early sends", () => {
  test("has room for a burst, and for one send in five questions after that", () => {
    const { budget } = createBudget();
    for (let sends = 0; sends < 20; sends += 1) expect(budget.take()).toBe(true);
    expect(budget.take()).toBe(false);
    for (let questions = 0; questions < 5; questions += 1) budget.noteQuestion();
    expect([budget.take(), budget.take()]).toEqual([true, false]);
  });

  test("is not charged for sends that helped", () => {
    const { budget } = createBudget();
    for (let sends = 0; sends < 100; sends += 1) {
      expect(budget.take()).toBe(true);
      budget.noteHelped(1, true);
    }
  });
});

describe("packets count as being lost", () => {
  test("after two early sends that helped at once", () => {
    const { budget } = createBudget();
    const helpOnce = () => {
      budget.take();
      budget.noteHelped(1, true);
    };
    helpOnce();
    expect(budget.areHelping()).toBe(false);
    helpOnce();
    expect(budget.areHelping()).toBe(true);
  });

  test("after two connections that were stuck", () => {
    const { budget } = createBudget();
    budget.noteStuck();
    expect(budget.areHelping()).toBe(false);
    budget.noteStuck();
    expect(budget.areHelping()).toBe(true);
  });

  test("not after early sends that helped as slowly as a slow name does", () => {
    const { budget } = createBudget();
    for (let sends = 0; sends < 10; sends += 1) {
      budget.take();
      budget.noteHelped(1, false);
    }
    expect(budget.areHelping()).toBe(false);
  });

  test("no longer once early sends do not help", () => {
    const { budget } = createBudget();
    budget.noteStuck();
    budget.noteStuck();
    for (let sends = 0; sends < 3; sends += 1) budget.take();
    expect(budget.areHelping()).toBe(false);
  });

  test("for ten seconds from the last send that helped", async () => {
    const { clock, budget } = createBudget();
    budget.noteStuck();
    budget.noteStuck();
    await clock.advance(9999);
    expect(budget.areHelping()).toBe(true);
    await clock.advance(1);
    expect(budget.areHelping()).toBe(false);
  });
});
