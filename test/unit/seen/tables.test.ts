/* The tables of those who ask most and of what is asked most, and the ring of names. */
import { expect, test } from "vitest";
import { type SocketAddress, socketAddress } from "../../../src/runtime/socket-address.ts";
import { createClientTable } from "../../../src/seen/client-table.ts";
import { createDecay } from "../../../src/seen/decay.ts";
import { createNameRing } from "../../../src/seen/name-ring.ts";
import { createNameTable } from "../../../src/seen/name-table.ts";
import { createFoldedName, foldName, type FoldedName } from "../../../src/wire/name.ts";
import { nameToText } from "../../../src/wire/name-text.ts";
import { nameBytes } from "../../support/messages/messages.ts";

function client(host: string, port = 40_000): SocketAddress {
  return socketAddress({ host, port });
}

function folded(text: string): FoldedName {
  const name = createFoldedName(0x5eed);
  const octets = nameBytes(text);
  foldName(octets, 0, octets.length, name);
  return name;
}

test("a busy client keeps its row while a crowd asks once each", () => {
  const table = createClientTable(8, 1);
  for (let turn = 0; turn < 1000; turn += 1) table.columns.queries[table.rowOf(client("10.0.0.1"))]! += 1;
  for (let turn = 0; turn < 10_000; turn += 1) {
    const row = table.rowOf(client(`10.1.${turn >> 8}.${turn & 255}`));
    if (row >= 0) table.columns.queries[row]! += 1;
  }
  expect(table.clientIn(table.rowOf(client("10.0.0.1")))).toBe("10.0.0.1");
});

test("a row that is given to another client begins anew, under another number", () => {
  const table = createClientTable(8, 1);
  const row = table.rowOf(client("10.0.0.1"));
  const generation = table.generationOf(row);
  for (let host = 2; table.clientIn(row) === "10.0.0.1"; host += 1) {
    const taken = table.rowOf(client(`10.0.0.${host}`));
    if (taken !== row) table.columns.queries[taken] = 100;
  }
  expect(table.generationOf(row)).not.toBe(generation);
});

test("a client is known by its host, of both families, whatever its port", () => {
  const table = createClientTable(64, 1);
  for (const host of ["10.0.0.1", "fd00::1", "fd00::2"]) {
    const row = table.rowOf(client(host));
    expect(table.rowOf(client(host, 50_000))).toBe(row);
    expect(table.clientIn(row)).toBe(host);
  }
});

test("the most asked names are found among ten thousand others", () => {
  const ring = createNameRing(65_536);
  const table = createNameTable(256, ring, 1);
  const note = (text: string) => {
    const name = folded(text);
    table.note(name.hash, ring.keep(name), 1);
  };
  for (let turn = 0; turn < 10_000; turn += 1) {
    note(`rare-${turn}.test`);
    if (turn % 20 === 0) for (let top = 0; top < 5; top += 1) note(`top-${top}.test`);
  }
  const rows = Array.from({ length: table.rowCount }, (_, row) => row);
  const byCount = rows.toSorted((one, other) => table.columns.queries[other]! - table.columns.queries[one]!);
  const names = byCount.slice(0, 5).map((row) => nameToText(table.nameIn(row) ?? new Uint8Array(1)));
  expect(names.toSorted()).toEqual(["top-0.test", "top-1.test", "top-2.test", "top-3.test", "top-4.test"]);
});

test("a table that keeps no names has only their hashes", () => {
  const table = createNameTable(8, undefined, 1);
  const name = folded("secret.test");
  table.note(name.hash, 0, 1);
  const row = Array.from({ length: 8 }, (_, index) => index).find((index) => table.hashIn(index) === name.hash) ?? -1;
  expect(table.columns.queries[row]).toBe(1);
  expect(table.nameIn(row)).toBeUndefined();
});

test("the ring keeps a name once, and knows when it was overwritten", () => {
  const ring = createNameRing(1024);
  const first = folded("first.test");
  const reference = ring.keep(first);
  expect(ring.keep(first)).toBe(reference);
  expect(nameToText(ring.find(reference, first.hash) ?? new Uint8Array(1))).toBe("first.test");
  for (let turn = 0; turn < 100; turn += 1) ring.keep(folded(`another-${turn}.test`));
  expect(ring.find(reference, first.hash)).toBeUndefined();
  const again = ring.keep(first);
  expect(nameToText(ring.find(again, first.hash) ?? new Uint8Array(1))).toBe("first.test");
});

test.each([10, 65, 600])("a steady stream of 5 a second is told as such after %i s", (seconds) => {
  const counts = new Float32Array(1);
  const decay = createDecay([counts]);
  decay.fade(0);
  for (let second = 1; second <= seconds; second += 1) {
    counts[0]! += 5;
    decay.fade(second * 1000);
  }
  expect(counts[0]! / decay.secondsPerCount(seconds * 1000)).toBeCloseTo(5, 0);
});
