import { describe, expect, test } from "vitest";
import { type ActivityEntry, createActivityList, unlisted } from "../../../src/listen/activity-list.ts";
import { createChance } from "../../../bench/fleet/chance.ts";

interface Named extends ActivityEntry<Named> {
  readonly name: number;
}

function entryOf(name: number): Named {
  return { ...unlisted, name };
}

describe("a list by last activity", () => {
  test("is that of a Map that entries leave and enter again, whatever comes and goes", () => {
    const chance = createChance(3);
    const entries = Array.from({ length: 12 }, (_, name) => entryOf(name));
    const list = createActivityList<Named>();
    const model = new Map<Named, number>();
    for (let step = 0; step < 2000; step += 1) {
      const entry = entries[Math.floor(chance() * entries.length)] as Named;
      const had = model.delete(entry);
      if (chance() < 0.6) {
        model.set(entry, step);
        list.touch(entry, step);
      } else expect(list.remove(entry)).toBe(had);
      expect([...list.walk()].map(({ name, activeAtMs }) => [name, activeAtMs])).toEqual(
        [...model].map(([{ name }, atMs]) => [name, atMs]),
      );
      expect(list.size()).toBe(model.size);
    }
  });

  test("can be emptied while it is walked", () => {
    const list = createActivityList<Named>();
    for (let name = 0; name < 5; name += 1) list.touch(entryOf(name), name);
    const names: number[] = [];
    for (const entry of list.walk()) {
      list.remove(entry);
      names.push(entry.name);
    }
    expect([names, list.size()]).toEqual([[0, 1, 2, 3, 4], 0]);
  });

  test("keeps nothing alive through what was taken out", () => {
    const list = createActivityList<Named>();
    const entries = [entryOf(0), entryOf(1), entryOf(2)];
    for (const entry of entries) list.touch(entry, 1);
    list.remove(entries[1] as Named);
    expect([entries[1]?.older, entries[1]?.newer]).toEqual([undefined, undefined]);
  });
});
