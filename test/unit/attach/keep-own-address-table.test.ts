import { describe, expect, test } from "vitest";
import { keepOwnAddressTable } from "../../../src/attach/keep-own-address-table.ts";
import { ownAddressTableText } from "../../../src/attach/own-address-table.ts";
import type { SetElement } from "../../../src/runtime/netfilter.ts";
import { createFakeNode } from "../../support/node/fake-node.ts";
import { ownAddressOptions } from "../../support/node/own-address-options.ts";

const own = "169.254.20.10";
const service = "10.96.0.10";
const six = { address: "fd00:20::10", service: "fd00:96::10" };

describe("what the kernel counted and noted", () => {
  test("is how many packets were tracked all the same since the last time", async () => {
    const node = createFakeNode();
    const table = keepOwnAddressTable(() => ownAddressOptions({ countsTracked: true }), node.run, node.netfilter);
    const counts: number[] = [];
    for (const tracked of [0, 5, 5, 7]) {
      node.counters.tracked = tracked;
      await table.verify();
      counts.push(table.countTracked());
    }
    expect(counts).toEqual([0, 5, 0, 2]);
  });

  test("is nothing where no table is wanted, or nft cannot say", async () => {
    const node = createFakeNode();
    const unwanted = keepOwnAddressTable(() => undefined, node.run, node.netfilter);
    await unwanted.verify();
    expect([unwanted.countTracked(), unwanted.blockedPods()]).toEqual([0, { questions: 0, replies: 0 }]);
    node.failures.set("nft", { stderr: "Error: Operation not permitted" });
    const refused = keepOwnAddressTable(() => ownAddressOptions({ countsTracked: true }), node.run, node.netfilter);
    await refused.verify();
    expect([refused.countTracked(), refused.blockedPods()]).toEqual([0, { questions: 0, replies: 0 }]);
  });

  test("is which pods are blocked, each once, and a packet or two are none", async () => {
    const node = createFakeNode();
    const table = keepOwnAddressTable(
      () => ownAddressOptions({ own: [{ address: own, service }, six] }),
      node.run,
      node.netfilter,
    );
    await table.verify();
    const udp = "10.244.1.10 . udp counter packets 3 bytes 180 expires 59s900ms";
    const tcp = "10.244.1.10 . tcp counter packets 9 bytes 540 expires 50s";
    node.elements.set("stopped_in4", `${udp},\n\t\t\t     ${tcp}`);
    node.elements.set("stopped_out4", "10.244.1.11 . udp counter packets 2 bytes 180 expires 59s");
    node.elements.set("stopped_out6", "fd44::10 . udp counter packets 7 bytes 180 expires 59s");
    expect(await table.verify()).toEqual({ wasChanged: false, problem: undefined });
    expect(table.blockedPods()).toEqual({ questions: 1, replies: 1 });
    node.elements.clear();
    await table.verify();
    expect(table.blockedPods()).toEqual({ questions: 0, replies: 0 });
  });
});

describe("a glance", () => {
  const element = { key: "0af4010a11000000", packets: 3, expiresInMs: 60_000 };

  /** A kernel that tells its generation and elements, and a table in place. */
  async function start() {
    const node = createFakeNode();
    const kernel = { generation: 7 as number | undefined, elements: [] as SetElement[] | undefined };
    node.netfilter = {
      generation: () => kernel.generation,
      elements: (_, set) => (set === "stopped_in4" ? kernel.elements : []),
    };
    let sources = ["10.0.0.0/8"];
    const table = keepOwnAddressTable(() => ownAddressOptions({ sources }), node.run, node.netfilter);
    await table.verify();
    await table.verify();
    node.runs.length = 0;
    return { node, kernel, table, allow: (ranges: string[]) => (sources = ranges) };
  }

  test("runs no nft while the kernel says that no rule has changed, and tells blocked pods", async () => {
    const { node, kernel, table } = await start();
    expect(await table.glance()).toEqual({ wasChanged: false, problem: undefined });
    kernel.elements = [
      element,
      { ...element, key: "0af4010a06000000" },
      { ...element, key: "0af4010b11000000", packets: 2 },
    ];
    await table.glance();
    expect(table.blockedPods()).toEqual({ questions: 1, replies: 0 });
    expect(node.runs).toEqual([]);
  });

  test("is a whole look once a rule has changed, until the table is as it should be in that state", async () => {
    const { node, kernel, table } = await start();
    node.untracked = undefined;
    kernel.generation = 8;
    expect((await table.glance()).wasChanged).toBe(true);
    kernel.generation = 9;
    await table.glance();
    node.runs.length = 0;
    await table.glance();
    expect(node.runs).toEqual([]);
  });

  test.each(["generation", "elements"] as const)(
    "is a whole look where the kernel does not tell its %s",
    async (what) => {
      const { node, kernel, table } = await start();
      kernel[what] = undefined;
      await table.glance();
      expect(node.runs).toEqual(["nft list table inet nodens"]);
    },
  );

  test("follows the settings", async () => {
    const { node, table, allow } = await start();
    allow(["10.9.0.0/16"]);
    await table.glance();
    expect(node.untracked).toContain("elements = { 10.9.0.0/16 }");
  });
});

describe("keeping the table", () => {
  test("puts it the first time whatever is there, which is no change by somebody", async () => {
    const node = createFakeNode();
    node.untracked = "table inet nodens { chain old }";
    const table = keepOwnAddressTable(() => ownAddressOptions(), node.run, node.netfilter);
    expect(await table.verify()).toEqual({ wasChanged: false, problem: undefined });
    expect(node.untracked).toContain(ownAddressTableText(ownAddressOptions()));
  });

  test("does nothing as long as nft prints the same", async () => {
    const node = createFakeNode();
    const table = keepOwnAddressTable(() => ownAddressOptions(), node.run, node.netfilter);
    await table.verify();
    const before = node.runs.length;
    await table.verify();
    expect(node.runs.slice(before)).toEqual(["nft list table inet nodens"]);
  });

  test("puts it again when nft prints something else, and says so once", async () => {
    const node = createFakeNode();
    const table = keepOwnAddressTable(() => ownAddressOptions(), node.run, node.netfilter);
    await table.verify();
    node.untracked += "# an own rule of somebody";
    expect((await table.verify()).wasChanged).toBe(true);
    expect((await table.verify()).wasChanged).toBe(false);
  });

  test("puts it again when somebody deleted it before nodens could look at what it had put", async () => {
    const node = createFakeNode();
    const run: typeof node.run = async (program, args, input) => {
      const output = await node.run(program, args, input);
      if (args[0] === "-f") node.untracked = undefined;
      return output;
    };
    let isDeleting = true;
    const table = keepOwnAddressTable(
      () => ownAddressOptions(),
      (program, args, input) => (isDeleting ? run : node.run)(program, args, input),
      node.netfilter,
    );
    await table.verify();
    isDeleting = false;
    await table.verify();
    expect(node.untracked).toContain(ownAddressTableText(ownAddressOptions()));
  });

  test("tries again after a failure, which is not a change by somebody", async () => {
    const node = createFakeNode();
    node.failures.set("nft -f", { stderr: "Error: Could not process rule: Device or resource busy" });
    const table = keepOwnAddressTable(() => ownAddressOptions(), node.run, node.netfilter);
    expect(await table.verify()).toEqual({
      wasChanged: false,
      problem: { kind: "nft", message: expect.stringContaining("Device or resource busy") },
    });
    node.failures.clear();
    expect(await table.verify()).toEqual({ wasChanged: false, problem: undefined });
    expect(node.untracked).toBeDefined();
  });

  test("adopts the table that an earlier nodens left, for it knows whose questions are under way", async () => {
    const node = createFakeNode();
    node.untracked = ownAddressTableText(ownAddressOptions());
    const table = keepOwnAddressTable(() => ownAddressOptions(), node.run, node.netfilter);
    expect(await table.verify()).toEqual({ wasChanged: false, problem: undefined });
    expect(node.runs).toEqual(["nft list table inet nodens"]);
  });

  test("does not adopt one that lacks a rule", async () => {
    const node = createFakeNode();
    node.untracked = ownAddressTableText(ownAddressOptions()).replace(/.*dport @moved_udp_0.*\n/, "");
    await keepOwnAddressTable(() => ownAddressOptions(), node.run, node.netfilter).verify();
    expect(node.untracked).toContain(ownAddressTableText(ownAddressOptions()));
  });

  test("leaves the table of a nodens that came later, with other settings: two would rewrite it in turns", async () => {
    const node = createFakeNode();
    const table = keepOwnAddressTable(() => ownAddressOptions(), node.run, node.netfilter);
    await table.verify();
    const later = ownAddressTableText(ownAddressOptions({ sources: ["10.9.0.0/16"] }));
    node.untracked = later;
    expect((await table.verify()).wasChanged).toBe(false);
    expect(node.untracked).toBe(later);
  });

  test("follows the settings: sources that are allowed by now are served by the Service too", async () => {
    const node = createFakeNode();
    let sources = ["10.0.0.0/8"];
    const table = keepOwnAddressTable(() => ownAddressOptions({ sources }), node.run, node.netfilter);
    await table.verify();
    sources = ["10.9.0.0/16"];
    expect(await table.verify()).toEqual({ wasChanged: false, problem: undefined });
    expect(node.untracked).toContain("elements = { 10.9.0.0/16 }");
  });

  test("not wanted, removes it once and then only looks", async () => {
    const node = createFakeNode();
    node.untracked = "table inet nodens { chain old }";
    const table = keepOwnAddressTable(() => undefined, node.run, node.netfilter);
    await table.verify();
    expect(node.untracked).toBeUndefined();
    const before = node.runs.length;
    await table.verify();
    expect(node.runs.slice(before)).toEqual(["nft list table inet nodens"]);
  });

  test("not wanted and not there, is content without nft; there, says what it could not do with it", async () => {
    const node = createFakeNode();
    node.failures.set("nft", { code: 127, stderr: "spawn nft ENOENT" });
    expect((await keepOwnAddressTable(() => undefined, node.run, node.netfilter).verify()).problem).toBeUndefined();
    node.failures.set("nft", { stderr: "Error: Operation not permitted" });
    expect((await keepOwnAddressTable(() => undefined, node.run, node.netfilter).verify()).problem).toBeUndefined();
    node.failures.clear();
    node.untracked = "table inet nodens { chain old }";
    node.failures.set("nft -f", { stderr: "Error: busy" });
    expect((await keepOwnAddressTable(() => undefined, node.run, node.netfilter).verify()).problem?.message).toBe(
      "cannot remove the table nodens: nft says: Error: busy",
    );
  });

  test("not wanted, removes one that somebody adds later", async () => {
    const node = createFakeNode();
    const table = keepOwnAddressTable(() => undefined, node.run, node.netfilter);
    await table.verify();
    node.untracked = "table inet nodens { chain new }";
    expect((await table.verify()).wasChanged).toBe(true);
    expect(node.untracked).toBeUndefined();
  });
});
