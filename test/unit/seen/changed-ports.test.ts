import { expect, test } from "vitest";
import { socketAddress } from "../../../src/runtime/socket-address.ts";
import { createChangedPorts } from "../../../src/seen/changed-ports.ts";
import { createClientTable } from "../../../src/seen/client-table.ts";
import { createRecorder, type Recorder } from "../../../src/seen/recorder.ts";
import { type ArrivedQuery, recordQuery } from "./record-query.ts";

const slotCount = 16_384;

/** A finder over a record that counts what is read of it, and a client that asks. */
function setUp() {
  const recorder = createRecorder(slotCount);
  const clients = createClientTable(16, 1);
  const row = clients.rowOf(socketAddress({ host: "10.0.0.1", port: 1 }));
  let reads = 0;
  const counting = Object.fromEntries(
    Object.entries(recorder).map(([name, call]) => [
      name,
      typeof call === "function"
        ? (...args: readonly never[]) => {
            reads += 1;
            return (call as (...values: readonly never[]) => unknown)(...args);
          }
        : call,
    ]),
  ) as unknown as Recorder;
  const words = new Proxy(recorder.words, {
    get(target, key) {
      reads += 1;
      return Reflect.get(target, key, target) as unknown;
    },
  });
  const finder = createChangedPorts({ ...counting, words }, clients);
  let lookedAt = -1;
  function ask(query: Partial<ArrivedQuery>): void {
    const generation = clients.generationOf(row);
    recordQuery(recorder, { ...plain, clientRow: row, clientGeneration: generation, ...query });
  }
  function look(nowMs: number) {
    reads = 0;
    lookedAt = recorder.eachSince(lookedAt, (slot, number) => finder.noteSlot(slot, number + 1, number + 1));
    return { found: finder.tell(nowMs), reads };
  }
  return { ask, look };
}

const plain: ArrivedQuery = {
  atMs: 0,
  clientRow: 0,
  clientGeneration: 0,
  nameHash: 0,
  nameReference: 0,
  type: 1,
  port: 1000,
  id: 0,
  isTcp: false,
  hasEdns: false,
};

/** Looks at a full record in which a client has asked so many names again, each with its ID, from another port. */
function lookFor(tries: number) {
  const { ask, look } = setUp();
  for (let index = 0; index < slotCount - tries; index += 1) ask({ nameHash: index, id: index, atMs: 1000 });
  look(1000);
  for (let index = slotCount - 2 * tries; index < slotCount - tries; index += 1)
    ask({ nameHash: index, id: index, port: 2000, atMs: 6000 });
  return look(6000);
}

test("a look costs the same for many queries that may be another try as for one", () => {
  const [one, many] = [lookFor(1), lookFor(64)];
  expect([one.found.length, many.found.length]).toStrictEqual([1, 64]);
  expect(many.reads).toBeLessThan(1.5 * one.reads);
});

test("names that have the same hash are told apart by their types", () => {
  const { ask, look } = setUp();
  for (let id = 0; id < 8; id += 1) ask({ nameHash: 5, type: 28, id: 7, atMs: 500 });
  for (const id of [1, 2]) ask({ nameHash: 6, id, atMs: 900 });
  ask({ nameHash: 5, id: 7, atMs: 1000 });
  ask({ nameHash: 5, id: 7, port: 2000, atMs: 6000 });
  expect(look(6000).found.map(({ afterMs }) => afterMs)).toStrictEqual([5000]);
});
