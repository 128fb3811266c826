import { describe, expect, test } from "vitest";
import { keepUntrackedTable, untrackedTableText } from "../../../src/attach/untracked-table.ts";
import { createFakeNode } from "../../support/node/fake-node.ts";

const own = "169.254.20.10";

test("the text removes what was there and adds the table, for both directions in both hooks", () => {
  const text = untrackedTableText([own, "fd00:20::10"], false);
  expect(text).toMatch(/^table inet nodens\ndelete table inet nodens\ntable inet nodens \{/);
  const rules = [
    `ip daddr ${own} meta l4proto { tcp, udp } th dport 53 notrack`,
    `ip saddr ${own} meta l4proto { tcp, udp } th sport 53 notrack`,
    "ip6 daddr fd00:20::10 meta l4proto { tcp, udp } th dport 53 notrack",
    "ip6 saddr fd00:20::10 meta l4proto { tcp, udp } th sport 53 notrack",
  ];
  for (const rule of rules) expect(text.split(rule)).toHaveLength(3);
  expect(text.match(/type filter hook (?:prerouting|output) priority raw - 10;/g)).toHaveLength(2);
});

test("nothing in the text looks at connection tracking, unless it is in use: looking would start it", () => {
  expect(untrackedTableText([own], false)).not.toMatch(/\bct\b/);
  expect(untrackedTableText([own], true)).toContain(
    `ip daddr ${own} meta l4proto { tcp, udp } th dport 53 ct state != untracked counter name tracked`,
  );
});

describe("counting what is tracked all the same", () => {
  test("tells how many packets since the last time", async () => {
    const node = createFakeNode();
    const table = keepUntrackedTable([own], node.run, true, true);
    await table.verify();
    const counts: number[] = [];
    for (const tracked of [0, 5, 5, 7]) {
      node.counters.tracked = tracked;
      counts.push(await table.countTracked());
    }
    expect(counts).toEqual([0, 5, 0, 2]);
  });

  test("asks nothing where nothing is counted, and makes nothing of an nft that cannot say", async () => {
    const node = createFakeNode();
    expect(await keepUntrackedTable([own], node.run, false, true).countTracked()).toBe(0);
    expect(await keepUntrackedTable([own], node.run, true, false).countTracked()).toBe(0);
    expect(node.runs).toEqual([]);
    node.failures.set("nft --json", { stderr: "Error: No such file or directory" });
    expect(await keepUntrackedTable([own], node.run, true, true).countTracked()).toBe(0);
  });
});

describe("keeping the table", () => {
  test("puts it the first time whatever is there, which is no change by somebody", async () => {
    const node = createFakeNode();
    node.untracked = "table inet nodens { chain old }";
    const table = keepUntrackedTable([own], node.run, true, false);
    expect(await table.verify()).toEqual({ wasChanged: false, problem: undefined });
    expect(node.untracked).toBe(untrackedTableText([own], false));
  });

  test("does nothing as long as nft prints the same", async () => {
    const node = createFakeNode();
    const table = keepUntrackedTable([own], node.run, true, false);
    await table.verify();
    const before = node.runs.length;
    await table.verify();
    expect(node.runs.slice(before)).toEqual(["nft --stateless list table inet nodens"]);
  });

  test("puts it again when nft prints something else, and says so once", async () => {
    const node = createFakeNode();
    const table = keepUntrackedTable([own], node.run, true, false);
    await table.verify();
    node.untracked += "# an own rule of somebody";
    expect((await table.verify()).wasChanged).toBe(true);
    expect((await table.verify()).wasChanged).toBe(false);
  });

  test("tries again after a failure, which is not a change by somebody", async () => {
    const node = createFakeNode();
    node.failures.set("nft -f", { stderr: "Error: Could not process rule: Device or resource busy" });
    const table = keepUntrackedTable([own], node.run, true, false);
    expect(await table.verify()).toEqual({
      wasChanged: false,
      problem: { kind: "nft", message: expect.stringContaining("Device or resource busy") },
    });
    node.failures.clear();
    expect(await table.verify()).toEqual({ wasChanged: false, problem: undefined });
    expect(node.untracked).toBeDefined();
  });

  test("not wanted, removes it once and then only looks", async () => {
    const node = createFakeNode();
    node.untracked = "table inet nodens { chain old }";
    const table = keepUntrackedTable([own], node.run, false, false);
    await table.verify();
    expect(node.untracked).toBeUndefined();
    const before = node.runs.length;
    await table.verify();
    expect(node.runs.slice(before)).toEqual(["nft --stateless list table inet nodens"]);
  });

  test("not wanted, is content without nft, and says what it could not do with it", async () => {
    const node = createFakeNode();
    node.failures.set("nft", { code: 127, stderr: "spawn nft ENOENT" });
    expect((await keepUntrackedTable([own], node.run, false, false).verify()).problem).toBeUndefined();
    node.failures.set("nft", { stderr: "Error: busy" });
    expect((await keepUntrackedTable([own], node.run, false, false).verify()).problem?.message).toBe(
      "cannot remove the table nodens: nft says: Error: busy",
    );
  });

  test("not wanted, removes one that somebody adds later", async () => {
    const node = createFakeNode();
    const table = keepUntrackedTable([own], node.run, false, false);
    await table.verify();
    node.untracked = "table inet nodens { chain new }";
    expect((await table.verify()).wasChanged).toBe(true);
    expect(node.untracked).toBeUndefined();
  });
});
