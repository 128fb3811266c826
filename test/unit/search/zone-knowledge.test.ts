import { describe, expect, test } from "vitest";
import { createZoneKnowledge } from "../../../src/search/zone-knowledge.ts";
import type { SoaRecord } from "../../../src/wire/denial.ts";

const startMs = 1_000_000;
const minutes = 60_000;

function soaOf(denialTtlSeconds: number): SoaRecord {
  return { octets: new Uint8Array(1), ttlOffset: 0, denialTtlSeconds };
}

/** Random numbers that are the same in every run. */
function createChance(): () => number {
  let state = 1;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    return (state >>> 0) / 2 ** 32;
  };
}

/** Knowledge about a zone that has shown all that the rules need, for an hour. */
function createShown(checkOneIn = 64) {
  const limits = { checkOneIn };
  const knowledge = createZoneKnowledge(limits, createChance());
  knowledge.noteSchema(true);
  knowledge.noteSoa(soaOf(3600), startMs);
  return { knowledge, limits };
}

describe("what the rules need", () => {
  test("nothing is used before the zone has shown its schema", () => {
    const knowledge = createZoneKnowledge({ checkOneIn: 64 });
    knowledge.noteSoa(soaOf(30), startMs);
    expect(knowledge.hasSchema()).toBe(false);
    expect(knowledge.mayUse("absentBySchema", startMs)).toBe(false);
    expect(knowledge.mayUse("absentParent", startMs)).toBe(false);
  });

  test("nothing is used before an SOA of the zone has been seen", () => {
    const knowledge = createZoneKnowledge({ checkOneIn: 64 });
    knowledge.noteSchema(true);
    expect(knowledge.soa()).toBeUndefined();
    expect(knowledge.mayUse("absentBySchema", startMs)).toBe(false);
    expect(knowledge.mayUse("absentParent", startMs)).toBe(false);
  });

  test("with both, both rules are used", () => {
    const { knowledge } = createShown();
    expect(knowledge.mayUse("absentBySchema", startMs)).toBe(true);
    expect(knowledge.mayUse("absentParent", startMs)).toBe(true);
  });

  test("nothing is used while the zone no longer shows its schema", () => {
    const { knowledge } = createShown();
    knowledge.noteSchema(false);
    expect(knowledge.mayUse("absentBySchema", startMs)).toBe(false);
    knowledge.noteSchema(true);
    expect(knowledge.mayUse("absentBySchema", startMs)).toBe(true);
  });
});

describe("the SOA", () => {
  test.each([
    [0, 30],
    [999, 30],
    [1000, 29],
    [29_000, 1],
    [29_999, 1],
    // Another life starts: nobody has asked for a while.
    [30_000, 30],
    [95_000, 25],
    [3_599_999, 1],
    [3_600_000, 0],
  ])("%i ms after it came, may be used for %i s", (elapsedMs, seconds) => {
    const knowledge = createZoneKnowledge({ checkOneIn: 64 });
    knowledge.noteSchema(true);
    knowledge.noteSoa(soaOf(30), startMs);
    expect(knowledge.soaLifeSeconds(startMs + elapsedMs)).toBe(seconds);
    expect(knowledge.mayUse("absentBySchema", startMs + elapsedMs)).toBe(seconds > 0);
  });

  test("is the newest, with its own life", () => {
    const { knowledge } = createShown();
    const newer = soaOf(5);
    knowledge.noteSoa(newer, startMs + 1000);
    expect(knowledge.soa()).toBe(newer);
    expect(knowledge.soaLifeSeconds(startMs + 1000)).toBe(5);
  });

  test("is refreshed once in each half of its life", () => {
    const knowledge = createZoneKnowledge({ checkOneIn: 64 });
    knowledge.noteSoa(soaOf(30), startMs);
    expect(knowledge.takeRefresh(startMs + 14_999)).toBe(false);
    expect(knowledge.takeRefresh(startMs + 15_000)).toBe(true);
    expect(knowledge.takeRefresh(startMs + 15_001)).toBe(false);
    expect(knowledge.takeRefresh(startMs + 29_999)).toBe(false);
    expect(knowledge.takeRefresh(startMs + 30_000)).toBe(true);
  });

  test("is not asked for more than once a second, even if it lives only that long", () => {
    const knowledge = createZoneKnowledge({ checkOneIn: 64 });
    knowledge.noteSoa(soaOf(1), startMs);
    expect(knowledge.takeRefresh(startMs + 500)).toBe(true);
    expect(knowledge.takeRefresh(startMs + 1499)).toBe(false);
    expect(knowledge.takeRefresh(startMs + 1500)).toBe(true);
  });
});

describe("the checks", () => {
  test("cover one in N denials of a rule, whatever the other rule does", () => {
    const { knowledge } = createShown(4);
    const schema = Array.from({ length: 4000 }, (_, second) =>
      knowledge.takeCheck("absentBySchema", startMs + second * 1000),
    ).filter(Boolean);
    const learned = Array.from({ length: 400 }, (_, second) =>
      knowledge.takeCheck("absentParent", startMs + second * 1000),
    ).filter(Boolean);
    expect(schema.length).toBeGreaterThan(900);
    expect(schema.length).toBeLessThan(1100);
    expect(learned.length).toBeGreaterThan(70);
    expect(learned.length).toBeLessThan(130);
    expect(knowledge.counters.absentBySchema.checks).toBe(schema.length);
    expect(knowledge.counters.absentParent.checks).toBe(learned.length);
  });

  test("are at most four per rule and second, however many denials there are", () => {
    const { knowledge } = createShown(1);
    const checksAt = (nowMs: number) =>
      Array.from({ length: 15_000 }, () => knowledge.takeCheck("absentParent", nowMs)).filter(Boolean).length;
    expect(checksAt(startMs)).toBe(4);
    expect(checksAt(startMs + 500)).toBe(2);
    expect(checksAt(startMs + 60_000)).toBe(4);
    expect(knowledge.takeCheck("absentBySchema", startMs + 60_000)).toBe(true);
    expect(knowledge.counters.absentParent.checks).toBe(10);
  });

  test("are up to 32 a second of a rule that was contradicted, until it has proved itself", () => {
    const { knowledge } = createShown(1);
    knowledge.noteCheck("absentParent", false, startMs);
    const checksAt = (nowMs: number) =>
      Array.from({ length: 100 }, () => knowledge.takeCheck("absentParent", nowMs)).filter(Boolean).length;
    expect(checksAt(startMs + 600_000)).toBe(32);
    for (let agreed = 0; agreed < 64; agreed += 1) knowledge.noteCheck("absentParent", true, startMs + 600_000);
    expect(checksAt(startMs + 660_000)).toBe(4);
  });

  test("cover every denial with 1, none with 0", () => {
    const { knowledge, limits } = createShown(1);
    const checks = () => Array.from({ length: 4 }, () => knowledge.takeCheck("absentBySchema", startMs));
    expect(checks()).toEqual(Array(4).fill(true));
    limits.checkOneIn = 0;
    expect(checks()).toEqual(Array(4).fill(false));
  });

  test("catch a name that always comes at the same place in a repeated pattern", () => {
    // Two types of four names, over and over: every place has to be seen.
    const { knowledge } = createShown(64);
    const seen = new Set<number>();
    for (let denial = 0; denial < 64 * 200; denial += 1) {
      if (knowledge.takeCheck("absentBySchema", startMs + denial * 10)) seen.add(denial % 8);
    }
    expect(seen.size).toBe(8);
  });

  test("change nothing if they agree", () => {
    const { knowledge } = createShown();
    expect(knowledge.noteCheck("absentBySchema", true, startMs)).toBe(false);
    expect(knowledge.mayUse("absentBySchema", startMs)).toBe(true);
    expect(knowledge.counters.absentBySchema.disagreements).toBe(0);
  });
});

describe("a disagreement", () => {
  test("switches off its own rule, and says so once", () => {
    const { knowledge } = createShown();
    expect(knowledge.noteCheck("absentBySchema", false, startMs)).toBe(true);
    expect(knowledge.mayUse("absentBySchema", startMs)).toBe(false);
    expect(knowledge.mayUse("absentParent", startMs)).toBe(true);
    // A check that was already under way finds the same.
    expect(knowledge.noteCheck("absentBySchema", false, startMs + 10)).toBe(false);
    expect(knowledge.counters.absentBySchema.disagreements).toBe(2);
  });

  test("holds for ten minutes; then the rule is tried again", () => {
    const { knowledge } = createShown();
    knowledge.noteCheck("absentParent", false, startMs);
    expect(knowledge.mayUse("absentParent", startMs + 10 * minutes - 1)).toBe(false);
    expect(knowledge.mayUse("absentParent", startMs + 10 * minutes)).toBe(true);
  });

  test("switches the rule off again after the pause, and says so again", () => {
    const { knowledge } = createShown();
    knowledge.noteCheck("absentParent", false, startMs);
    expect(knowledge.noteCheck("absentParent", false, startMs + 10 * minutes)).toBe(true);
    expect(knowledge.mayUse("absentParent", startMs + 10 * minutes)).toBe(false);
  });

  test("makes the rule's checks eight times as frequent until 64 of them have agreed", () => {
    const { knowledge } = createShown(64);
    knowledge.noteCheck("absentBySchema", false, startMs);
    const checksIn = (denials: number) =>
      Array.from({ length: denials }, (_, second) =>
        knowledge.takeCheck("absentBySchema", startMs + second * 1000),
      ).filter(Boolean).length;
    const onProbation = checksIn(8000);
    expect(onProbation).toBeGreaterThan(900);
    expect(onProbation).toBeLessThan(1100);
    for (let check = 0; check < 64; check += 1) knowledge.noteCheck("absentBySchema", true, startMs);
    const trusted = checksIn(64_000);
    expect(trusted).toBeGreaterThan(850);
    expect(trusted).toBeLessThan(1150);
  });

  test("has the first denial after the pause checked", () => {
    const { knowledge } = createShown(64);
    knowledge.noteCheck("absentBySchema", false, startMs);
    expect(knowledge.takeCheck("absentBySchema", startMs + 10 * minutes)).toBe(true);
  });

  test("keeps the checks frequent as long as one of the 64 is missing", () => {
    const { knowledge } = createShown(64);
    knowledge.noteCheck("absentBySchema", false, startMs);
    for (let check = 0; check < 63; check += 1) knowledge.noteCheck("absentBySchema", true, startMs);
    const checks = Array.from({ length: 8000 }, (_, second) =>
      knowledge.takeCheck("absentBySchema", startMs + second * 1000),
    ).filter(Boolean);
    expect(checks.length).toBeGreaterThan(900);
  });
});
