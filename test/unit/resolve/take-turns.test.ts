import { describe, expect, test } from "vitest";
import { createTurns } from "../../../src/resolve/take-turns.ts";

const everybody = () => true;

/** Turns that already wait: each item a client's letter and its number. */
function waiting(...items: string[]) {
  const turns = createTurns<string>();
  for (const item of items) turns.add(item.charAt(0), 0, item);
  return turns;
}

/** All items in the order of their turns. */
function drain(turns: ReturnType<typeof waiting>): (string | undefined)[] {
  return Array.from({ length: turns.count() }, () => turns.next(everybody));
}

describe("turns", () => {
  test("go from client to client, however many items each has", () => {
    expect(drain(waiting("a1", "a2", "a3", "a4", "b1", "b2", "c1"))).toEqual([
      "a1",
      "b1",
      "c1",
      "a2",
      "b2",
      "a3",
      "a4",
    ]);
  });

  test("of a client that comes later follow one turn of each of the others", () => {
    const turns = waiting("a1", "a2", "b1", "b2");
    expect(turns.next(everybody)).toBe("a1");
    turns.add("c", 0, "c1");
    expect(drain(turns)).toEqual(["b1", "a2", "c1", "b2"]);
  });

  test("give a client's more urgent items first", () => {
    const turns = createTurns<string>();
    turns.add("a", 1, "later");
    turns.add("a", 0, "urgent");
    expect(turns.next(everybody)).toBe("urgent");
    expect(turns.next(everybody)).toBe("later");
  });

  test("pass over a client that may not have one, which keeps its place", () => {
    const turns = waiting("a1", "b1", "b2");
    expect(turns.next((client) => client !== "a")).toBe("b1");
    expect(turns.next(everybody)).toBe("a1");
    expect(turns.next(() => false)).toBeUndefined();
    expect(turns.count()).toBe(1);
  });

  test("lose an item that is taken out: the newest of the least urgent, or a given one", () => {
    const turns = waiting("a1", "a2", "a3");
    turns.add("a", 1, "a4");
    expect(turns.takeLast("a")).toBe("a4");
    expect(turns.takeLast("a")).toBe("a3");
    turns.remove("a", "a1");
    turns.remove("a", "a1");
    expect(drain(turns)).toEqual(["a2"]);
    expect([...turns.clients()]).toEqual([]);
    expect(turns.takeLast("a")).toBeUndefined();
  });
});
