import { describe, expect, test } from "vitest";
import { createQuestionWindow, type InWindow } from "../../../src/resolve/question-window.ts";

/** A window with `count` entries, numbered in the order in which they left. */
function filled(count: number) {
  const window = createQuestionWindow<InWindow & { readonly number: number }>();
  const entries = Array.from({ length: count }, (_, number) => ({ number }));
  for (const entry of entries) window.add(entry);
  const told: number[] = [];
  return {
    window,
    at: (number: number) => entries[number]!,
    told,
    tell: (left: { number: number }) => told.push(left.number),
  };
}

describe("a window", () => {
  test("lets go of an entry and of all that left before it, each once", () => {
    const { window, at, told, tell } = filled(5);
    window.remove(at(1));
    window.removeUpTo(at(3), tell);
    window.removeUpTo(at(3), tell);
    expect(told).toEqual([0, 2, 3]);
    expect([0, 1, 2, 3, 4].map((number) => window.has(at(number)))).toEqual([false, false, false, false, true]);
    expect(window.size()).toBe(1);
  });

  test("goes on after thousands have passed through it, with one that stays", () => {
    const { window, at, told, tell } = filled(10_000);
    for (let number = 1; number < 9999; number += 1) window.remove(at(number));
    window.remove(at(0));
    window.add(at(0));
    expect(window.size()).toBe(2);
    window.removeUpTo(at(0), tell);
    expect(told).toEqual([9999, 0]);
    expect(window.size()).toBe(0);
  });
});
