/*
 * Incidents: what is copied out of the recorder when pods wait, and how queries that went upstream are told.
 */
import { describe, expect, test } from "vitest";
import { column, endingNames, picturePartsOf } from "../../src/app/live-seen.ts";
import { createIncidents } from "../../src/seen/incidents.ts";
import { causeNames } from "../../src/seen/causes.ts";
import { tailOf } from "../../src/seen/told-queries.ts";
import { defaultSettings } from "../../src/settings/settings-table.ts";
import { a } from "../support/messages/messages.ts";
import { createWorld } from "../support/world/create-world.ts";

const web = "web.shop.svc.cluster.local";

/** A world whose counters are sampled by hand: `passesSecond` says by how much some have grown. */
function createWatchedWorld() {
  const world = createWorld();
  const parts = picturePartsOf(world.seen, defaultSettings());
  const incidents = createIncidents(parts);
  const totals = Array.from({ length: column.durations + endingNames.length }, () => 0);
  parts.ring.sample(totals, world.clock.nowMs());
  async function passesSecond(grown: Readonly<Record<number, number>> = {}): Promise<void> {
    await world.passes(1);
    for (const [counter, by] of Object.entries(grown)) totals[Number(counter)]! += by;
    parts.ring.sample(totals, world.clock.nowMs());
    incidents.look(world.clock.nowMs());
  }
  return { world, parts, incidents, passesSecond };
}

describe("an incident", () => {
  test("is a copy of the queries before it, and of the counters that moved, which later queries do not overwrite", async () => {
    const { world, incidents, passesSecond } = createWatchedWorld();
    await world.asks(web, "A", { client: "10.0.0.7" });
    await passesSecond({ [column.waits]: 5, [column.causes + causeNames.indexOf("conntrackDrop")]: 3 });
    for (let turn = 0; turn < 5000; turn += 1) await world.asks("other.test", "A", { id: turn });
    const [incident] = incidents.kept();
    expect(incident).toMatchObject({
      why: "pods asked again 5 times in 10 s",
      moved: [{ label: "conntrack_drop", by: 3 }],
    });
    expect(incident?.queries()).toMatchObject([{ client: "10.0.0.7", name: web, secondsAgo: 1, outcome: "waiting" }]);
  });

  test("is noticed when lookups fail", async () => {
    const { incidents, passesSecond } = createWatchedWorld();
    await passesSecond({ [column.servfail]: 20 });
    expect(incidents.kept().map(({ why }) => why)).toEqual(["SERVFAIL was answered 20 times in 10 s"]);
  });

  test("is none where few wait", async () => {
    const { incidents, passesSecond } = createWatchedWorld();
    for (let second = 0; second < 60; second += 1) await passesSecond(second % 5 === 0 ? { [column.waits]: 1 } : {});
    expect(incidents.total()).toBe(0);
  });

  test("that goes on is copied once in five minutes, and four copies are kept", async () => {
    const { incidents, passesSecond } = createWatchedWorld();
    for (let second = 0; second < 299; second += 1) await passesSecond({ [column.waits]: 5 });
    expect(incidents.total()).toBe(1);
    for (let second = 0; second < 1500; second += 1) await passesSecond({ [column.waits]: 5 });
    expect([incidents.total(), incidents.kept().length]).toEqual([6, 4]);
  });
});

describe("a recorded query", () => {
  test("tells the way upstream of the question that served it, also for those who joined that", async () => {
    const { world, parts } = createWatchedWorld();
    const startedAtMs = world.clock.nowMs();
    for (const client of ["10.0.0.7", "10.0.0.8"]) await world.asks(web, "A", { client });
    await world.passes(0.02);
    const question = { nameHash: parts.seen.names.hashIn(rowOf(parts)), type: 1 };
    const trip = { route: "cluster", server: "10.96.0.10:53", transport: "tcp", sends: 2, failure: "" };
    parts.seen.trips.note({ ...question, ...trip, startedAtMs, endedAtMs: world.clock.nowMs() });
    await world.upstream.answers({ answers: [a(web, "10.96.1.1")] });
    await world.passes(1);
    await world.asks(web, "A", { client: "10.0.0.9" });
    const told = tailOf(parts, { limit: 10 }, world.clock.nowMs()).map(({ client, upstream }) => [client, upstream]);
    const way = "cluster 10.96.0.10:53 tcp, 2 sends, 20.0 ms";
    expect(told).toEqual([
      ["10.0.0.7", way],
      ["10.0.0.8", way],
      ["10.0.0.9", ""],
    ]);
  });

  test("that still waits is told as slow as it has waited", async () => {
    const { world, parts } = createWatchedWorld();
    await world.asks(web, "A", { client: "10.0.0.7" });
    await world.passes(0.5);
    const slower = (slowerThanMs: number) => tailOf(parts, { limit: 10, slowerThanMs }, world.clock.nowMs()).length;
    expect([slower(499), slower(500)]).toEqual([1, 0]);
  });
});

function rowOf({ seen: { names } }: ReturnType<typeof createWatchedWorld>["parts"]): number {
  return names.columns.queries.findIndex((count) => count > 0);
}
