import { describe, expect, test } from "vitest";
import { createConnectionTable, type TableEntry, type TableLimits } from "../../../src/listen/connection-table.ts";
import { unlisted } from "../../../src/listen/activity-list.ts";
import { createListenCounters } from "../../../src/listen/listen-counters.ts";
import { createFakeClock } from "../../support/program/fake-clock.ts";

interface TestConnection extends TableEntry<TestConnection> {
  readonly name: string;
  readonly isIdle: boolean;
  readonly heldBytes: number;
}

/** A table, and connections that report what the test tells them to. */
function createTable(limits: Partial<TableLimits> = {}) {
  const clock = createFakeClock();
  const counters = createListenCounters({ host: "10.0.0.1", port: 53 }, "tcp");
  const wide = { maxConnections: 100, maxConnectionsPerClient: 100, idleTimeoutMs: 1000 };
  const table = createConnectionTable<TestConnection>(
    { ...wide, ...limits },
    { counters, clock },
    {
      isIdle: ({ isIdle }) => isIdle,
      heldSizeBytes: ({ heldBytes }) => heldBytes,
      destroy: ({ name }) => void ended.push(name),
    },
  );
  const ended: string[] = [];
  function accept(client: string, name = client, { isIdle = true, heldBytes = 0 } = {}): TestConnection {
    table.makeRoomFor(client);
    const connection: TestConnection = { ...unlisted, client, name, isIdle, heldBytes };
    table.add(connection);
    return connection;
  }
  return { table, accept, ended, counters, clock };
}

describe("one more connection", () => {
  test("costs a client that has its share one of its own, the longest idle first", () => {
    const { table, accept, ended, counters } = createTable({ maxConnectionsPerClient: 2 });
    accept("10.0.0.9");
    const first = accept("10.0.0.1", "first");
    accept("10.0.0.1", "second");
    table.touch(first);
    accept("10.0.0.1", "third");
    expect(ended).toEqual(["second"]);
    expect([counters.openConnections, counters.evictedConnections]).toEqual([3, 1]);
  });

  test("costs a client with only busy ones the one that asked longest ago", () => {
    const { accept, ended } = createTable({ maxConnectionsPerClient: 2 });
    for (const name of ["first", "second", "third"]) accept("10.0.0.1", name, { isIdle: false });
    expect(ended).toEqual(["first"]);
  });

  test("than all may have costs one of the client with the most, not the newcomer's and not the oldest", () => {
    const { accept, ended } = createTable({ maxConnections: 4 });
    accept("10.0.0.9", "oldest");
    for (const name of ["one", "two", "three"]) accept("10.0.0.1", name);
    accept("10.0.0.8", "newcomer");
    expect(ended).toEqual(["one"]);
  });

  test("than there are descriptors costs one of the client with the most", () => {
    const { table, accept, ended } = createTable();
    accept("10.0.0.9", "other");
    for (const name of ["one", "two"]) accept("10.0.0.1", name);
    table.giveOneBack();
    expect(ended).toEqual(["one"]);
  });
});

describe("what is kept for all together", () => {
  test("is bounded: the connection with the most is closed first", () => {
    const { table, accept, ended, counters } = createTable();
    accept("10.0.0.1", "much", { heldBytes: 2_500_000 });
    accept("10.0.0.2", "some", { heldBytes: 500_000 });
    table.freeMemory();
    expect(ended).toEqual([]);
    accept("10.0.0.3", "more", { heldBytes: 2_000_000 });
    table.freeMemory();
    expect(ended).toEqual(["much"]);
    expect([counters.overflowedConnections, counters.openConnections]).toEqual([1, 2]);
  });
});

test("idle connections are closed after their time, and one that ended by itself is not counted twice", async () => {
  const { table, accept, ended, counters, clock } = createTable();
  const gone = accept("10.0.0.1", "gone");
  accept("10.0.0.1", "idle");
  accept("10.0.0.1", "busy", { isIdle: false });
  table.remove(gone);
  table.remove(gone);
  table.touch(gone);
  await clock.advance(1000);
  table.sweep();
  expect(ended).toEqual(["idle"]);
  expect([counters.openConnections, counters.evictedConnections]).toEqual([1, 0]);
  expect([...table.all()]).toHaveLength(1);
});
