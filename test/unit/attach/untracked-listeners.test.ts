import { expect, onTestFinished, test } from "vitest";
import { attachUntracked, type UntrackedListenersOptions } from "../../../src/attach/untracked-listeners.ts";
import { createFakeClock } from "../../support/program/fake-clock.ts";
import { createFakeNode } from "../../support/node/fake-node.ts";

const nodeAddress = { host: "10.0.0.7", port: 53 };
const refused = { stderr: "Operation not permitted (you must be root)" };

async function start(
  overrides: Partial<UntrackedListenersOptions> = {},
  prepare?: (node: ReturnType<typeof createFakeNode>) => void,
) {
  const node = createFakeNode();
  prepare?.(node);
  const clock = createFakeClock();
  const log: string[] = [];
  const attachment = await attachUntracked({
    addresses: [nodeAddress],
    notrack: true,
    clock,
    run: node.run,
    isTrackingInUse: () => true,
    log: {
      info: (_, message) => void log.push(`info: ${message}`),
      warn: (_, message) => void log.push(`warn: ${message}`),
    },
    ...overrides,
  });
  onTestFinished(() => attachment.close());
  return { node, clock, log, attachment };
}

test("port 53 of the node's address is kept untracked, and nothing else is put on the node", async () => {
  const { node, attachment, log } = await start({ addresses: [nodeAddress, { host: "fd00::7", port: 53 }] });
  expect(node.untracked).toContain("ip daddr 10.0.0.7 meta l4proto { tcp, udp } th dport 53 notrack");
  expect(node.untracked).toContain("ip6 saddr fd00::7 meta l4proto { tcp, udp } th sport 53 notrack");
  expect(node.runs.filter((line) => line.startsWith("ip "))).toEqual([]);
  expect(attachment.isComplete()).toBe(true);
  expect(log).toEqual([]);
});

test.each([
  ["another port", { host: "10.0.0.7", port: 5353 }],
  ["every address", { host: "0.0.0.0", port: 53 }],
  ["every IPv6 address", { host: "::", port: 53 }],
])("%s is left alone", async (_, address) => {
  const { node, attachment } = await start({ addresses: [address] });
  expect(node.runs).toEqual([]);
  expect(attachment.isComplete()).toBe(true);
});

test.each([
  ["NET_ADMIN", refused, /takes a connection tracking entry for 30 s, .*: nodens lacks the capability NET_ADMIN$/],
  ["nft", { code: 127 }, /takes a connection tracking entry for 30 s, .*: the program nft is not installed$/],
])("without %s it says once what that costs, and is complete", async (_, failure, cost) => {
  const { node, clock, log, attachment } = await start({}, ({ failures }) => failures.set("nft", failure));
  await clock.advance(300_000);
  expect(log).toEqual([expect.stringMatching(cost)]);
  expect(log[0]).toMatch(/^info: /);
  expect(node.runs).toHaveLength(1);
  expect(attachment.isComplete()).toBe(true);
  expect(Object.values(attachment.problemCounts()).every((count) => count === 0)).toBe(true);
});

test("where tracking is wanted it removes the table, and says nothing where it may not", async () => {
  const wanted = await start({ notrack: false }, (node) => (node.untracked = "table inet nodens { old }"));
  expect(wanted.node.untracked).toBeUndefined();
  const unable = await start({ notrack: false }, ({ failures }) => failures.set("nft", refused));
  expect(unable.log).toEqual([]);
});

test("a table that somebody changes is put back within a minute", async () => {
  const { node, clock, log } = await start();
  node.untracked = undefined;
  await clock.advance(60_000);
  expect(node.untracked).toContain("notrack");
  expect(log).toEqual([expect.stringMatching(/^warn: somebody changed or removed/)]);
});

test("rules that nft refuses are counted and told once, and again when it takes them", async () => {
  const { node, clock, log, attachment } = await start({}, ({ failures }) =>
    failures.set("nft -f", { stderr: "syntax error" }),
  );
  await clock.advance(60_000);
  expect(attachment.isComplete()).toBe(false);
  expect(attachment.problemCounts().nft).toBe(1);
  node.failures.clear();
  await clock.advance(60_000);
  expect(attachment.isComplete()).toBe(true);
  expect(log).toEqual([
    expect.stringMatching(/^warn: cannot add the table nodens: nft says: syntax error/),
    expect.stringMatching(/^info: no longer: cannot add/),
  ]);
});

test("packets that are tracked all the same are told", async () => {
  const { node, clock, attachment } = await start();
  node.counters.tracked = 3;
  await clock.advance(60_000);
  expect(attachment.problems()).toEqual([expect.objectContaining({ kind: "path" })]);
});

test("it looks no more once it is released, and leaves the table for the nodens that comes after", async () => {
  const { node, clock, attachment } = await start();
  await attachment.release();
  node.runs.length = 0;
  await clock.advance(120_000);
  expect(node.runs).toEqual([]);
  expect(clock.pendingTimers()).toBe(0);
  expect(node.untracked).toContain("notrack");
});
