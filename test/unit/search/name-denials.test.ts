import { describe, expect, test } from "vitest";
import { createNameDenials } from "../../../src/search/name-denials.ts";
import { nameBytes } from "../../support/messages/messages.ts";

const web = nameBytes("web.default.svc.cluster.local");
const db = nameBytes("db.corp.internal");

/** Zones that have shown nothing, at a moment that the test moves. */
function createZones({ hasSchema = false } = {}) {
  const clock = { nowMs: 1_000_000 };
  const zones = [nameBytes("cluster.local"), nameBytes("corp.internal")] as const;
  const denials = createNameDenials(zones, { hasSchema: () => hasSchema }, () => clock.nowMs);
  return { ...denials, clock };
}

test("no zone has shown it at first, and a name of none never does", () => {
  const zones = createZones();
  expect(zones.areShownFor(web)).toBe(false);
  zones.noteNoData(nameBytes("www.example.com"));
  expect(zones.areShownFor(nameBytes("www.example.com"))).toBe(false);
});

test("NODATA shows it for its own zone, and for no other", () => {
  const zones = createZones();
  zones.noteNoData(nameBytes("x.corp.internal"));
  expect([zones.areShownFor(db), zones.areShownFor(web)]).toEqual([true, false]);
});

test("the schema shows it for the cluster's zone, whatever seems to contradict", () => {
  const zones = createZones({ hasSchema: true });
  zones.noteContradiction(web);
  expect([zones.areShownFor(web), zones.areShownFor(db)]).toEqual([true, false]);
});

test("a contradiction takes it back, and for ten minutes nothing makes up for it", () => {
  const zones = createZones();
  zones.noteNoData(db);
  zones.noteContradiction(db);
  zones.noteNoData(db);
  expect(zones.areShownFor(db)).toBe(false);
  zones.clock.nowMs += 600_000;
  zones.noteNoData(db);
  expect(zones.areShownFor(db)).toBe(true);
});

describe("a denial with the SOA", () => {
  test.each([
    ["corp.internal", true],
    [".", true],
    ["db.corp.internal", false],
    ["other.internal", false],
  ])("of %s is one of names: %s", (owner, expected) => {
    const zones = createZones();
    zones.noteNoData(db);
    expect(zones.areShownBy(db, nameBytes(owner))).toBe(expected);
    expect(createZones().areShownBy(db, nameBytes(owner))).toBe(false);
  });

  test("of nobody is one of names where the zone has shown that", () => {
    const zones = createZones();
    zones.noteNoData(db);
    expect(zones.areShownBy(db, undefined)).toBe(true);
  });
});
