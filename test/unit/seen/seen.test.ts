/* What is counted under load, of which only a part is looked at, and what is not left out even then. */
import { expect, test } from "vitest";
import { setPort, socketAddress } from "../../../src/runtime/socket-address.ts";
import { createSeen, type Seen } from "../../../src/seen/seen.ts";
import { createFoldedName, foldName } from "../../../src/wire/name.ts";
import { nameBytes } from "../../support/messages/messages.ts";

const names = ["web.shop.test", "db.data.test", "absent.shop.test"].map((text) => {
  const name = createFoldedName(0x5eed);
  const octets = nameBytes(text);
  foldName(octets, 0, octets.length, name);
  return name;
});
const [web, , absent] = names;
const client = socketAddress({ host: "10.0.0.7", port: 0 });
const NXDOMAIN = 3;

function create(): Seen {
  return createSeen({
    recordedQueries: 65_536,
    keepsNames: true,
    suffixes: [nameBytes("shop.test")],
    isHit: (source) => source === 1,
    isFromUpstream: () => false,
    isClusterName: () => true,
    seed: 7,
  });
}

/** Queries one after the other, so many a second: two in four for `web`, one for a name that is denied; nine of ten are hits. */
function asks(seen: Seen, count: number, perSecond: number, afterMs = 0): void {
  for (let turn = 0; turn < count; turn += 1) {
    const which = turn % 4 === 3 ? 2 : turn % 4 === 2 ? 1 : 0;
    const name = names[which]!;
    setPort(client, 1024 + ((afterMs * 2 + (turn >> 1)) % 60_000));
    const query = { id: turn & 0xffff, name, type: turn % 2 === 0 ? 1 : 28, hasEdns: true };
    const number = seen.received(client, query, false, Math.floor(afterMs + (turn * 1000) / perSecond));
    seen.answered(number, name, which === 2 ? NXDOMAIN : 0, turn % 10 === 0 ? 0 : 1, 0.01);
  }
}

function countsOf(seen: Seen) {
  const { clients, names: table } = seen;
  const row = clients.rowOf(client);
  const at = (column: Float32Array) => column[row] ?? 0;
  const nameRow = (hash: number) =>
    Array.from({ length: 1024 }, (_, each) => each).find((each) => table.hashIn(each) === hash) ?? -1;
  const { queries, weighed, hits, nxdomain, waste, looked, edns } = clients.columns;
  return {
    queries: at(queries),
    hits: at(hits) / at(weighed),
    nxdomain: at(nxdomain) / at(weighed),
    waste: at(waste) / at(weighed),
    edns: at(edns) / at(looked),
    web: table.columns.queries[nameRow(web!.hash)] ?? 0,
    absent: table.columns.nxdomain[nameRow(absent!.hash)] ?? 0,
  };
}

test("at 2,000 queries a second each of them is counted", () => {
  const seen = create();
  asks(seen, 20_000, 2000);
  expect(countsOf(seen)).toEqual({
    queries: 20_000,
    hits: 0.9,
    nxdomain: 0.25,
    waste: 0.25,
    edns: 1,
    web: 10_000,
    absent: 5000,
  });
});

test("at 20,000 a second a part stands for all: what a client asks is exact, names and shares are near", () => {
  const seen = create();
  asks(seen, 200_000, 20_000);
  const { queries, hits, nxdomain, waste, edns, web: ofWeb, absent: denied } = countsOf(seen);
  expect([queries, edns]).toEqual([200_000, 1]);
  for (const [share, near] of [
    [hits, 0.9],
    [nxdomain, 0.25],
    [waste, 0.25],
    [ofWeb / 100_000, 1],
    [denied / 50_000, 1],
  ] as const)
    expect(Math.abs(share / near - 1)).toBeLessThan(0.05);
  // Not all was counted.
  const { looked } = seen.clients.columns;
  expect(looked[seen.clients.rowOf(client)]).toBeLessThan(40_000);
});

test("a short burst is counted in full", () => {
  const seen = create();
  asks(seen, 2000, 1_000_000);
  expect(countsOf(seen)).toMatchObject({ queries: 2000, web: 1000 });
});

test("a reply that comes after its query was counted is counted as much as that", () => {
  const seen = create();
  const number = seen.received(client, { id: 1, name: absent!, type: 1, hasEdns: false }, false, 1000);
  seen.tick(1000);
  seen.answered(number, absent!, NXDOMAIN, 0, 5);
  expect(countsOf(seen)).toMatchObject({ nxdomain: 1, waste: 1, absent: 1 });
});

test("under load every wait is found, whichever part is counted", () => {
  const seen = create();
  const pod = socketAddress({ host: "10.0.0.8", port: 0 });
  const asksOnce = (port: number, atMs: number) => {
    setPort(pod, port);
    seen.answered(seen.received(pod, { id: port, name: web!, type: 1, hasEdns: false }, false, atMs), web!, 0, 1, 0.01);
  };
  for (let tenth = 0; tenth < 60; tenth += 1) {
    asks(seen, 400, 4000, tenth * 100);
    if (tenth < 10) asksOnce(5000 + tenth, tenth * 100 + 99);
    if (tenth >= 50) asksOnce(5000 + tenth - 50, tenth * 100 + 99);
  }
  expect(seen.waits.total()).toBe(10);
});
