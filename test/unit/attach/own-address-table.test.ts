import { describe, expect, test } from "vitest";
import {
  keepOwnAddressTable,
  type OwnAddressTableOptions,
  ownAddressTableText,
} from "../../../src/attach/own-address-table.ts";
import type { SetElement } from "../../../src/runtime/netfilter.ts";
import { createFakeNode } from "../../support/node/fake-node.ts";

const own = "169.254.20.10";

const service = "10.96.0.10";
const six = { address: "fd00:20::10", service: "fd00:96::10" };

function options(changes: Partial<OwnAddressTableOptions> = {}): OwnAddressTableOptions {
  return {
    own: [{ address: own, service }],
    sources: ["10.0.0.0/8"],
    notrack: true,
    countsTracked: false,
    ownLabels: { health: "nodens-health", watch: "nodens-watch", away: "nodens-away" },
    ...changes,
  };
}

/** The rules of a chain, in order. */
function rulesOf(name: string, text: string): string[] {
  const [, body = ""] =
    new RegExp(`chain ${name} \\{\\n.*policy accept;\\n([^}]*(?:\\{[^}]*\\}[^}]*)*?)\\n  \\}\\n`).exec(text) ?? [];
  return body.split("\n").map((line) => line.trim());
}

describe("the text", () => {
  test("keeps questions and replies of both families out of connection tracking, before iptables' raw table", () => {
    const text = ownAddressTableText(options({ own: [{ address: own, service }, six] }));
    for (const [ip, address] of [
      ["ip", own],
      ["ip6", six.address],
    ]) {
      expect(text).toContain(`${ip} daddr ${address} meta l4proto { tcp, udp } th dport 53 notrack`);
      expect(text).toContain(`${ip} saddr ${address} meta l4proto { tcp, udp } th sport 53 notrack`);
    }
    expect(text.match(/type filter hook (?:prerouting|output) priority raw - 10;/g)).toHaveLength(2);
  });

  test("sends on to the Service what sources that nodens would answer ask, once nothing says that nodens is alive", () => {
    const rules = rulesOf("prerouting", ownAddressTableText(options()));
    const alive = rules.findIndex((rule) => rule.endsWith("@alive4 notrack accept"));
    const moved = rules.findIndex((rule) => rule.startsWith(`ip daddr ${own} udp`));
    expect(alive).toBeGreaterThan(0);
    expect(rules[moved]).toContain("ip saddr @served4");
    expect(rules[moved]).toMatch(new RegExp(`ip daddr set ${service} accept$`));
    expect(alive).toBeLessThan(moved);
  });

  test("sends on what the node itself asks too, but for test packets: what they ask has to come here to be a sign of life", () => {
    const rules = rulesOf("output", ownAddressTableText(options()));
    // The labels "nodens-health" and "nodens-away", behind the headers of UDP and DNS.
    const away = rules.findIndex((rule) => rule.includes("@th,160,96 0x0b6e6f64656e732d61776179 update @moved_udp_0"));
    expect(rules[away]).toContain(`ip saddr ${own}`);
    expect(rules[away]).not.toContain("fell_open");
    expect(rules[away]).toMatch(new RegExp(`ip daddr set ${service} accept$`));
    const test = rules.findIndex((rule) => rule.includes("@th,160,112 0x0d6e6f64656e732d6865616c7468 notrack accept"));
    const moved = rules.findIndex((rule) => rule.startsWith(`ip daddr ${own} udp dport 53 ip daddr != @alive4`));
    expect(rules[moved]).toMatch(new RegExp(`ip daddr set ${service} accept$`));
    expect([test, test < moved]).toEqual([0, true]);
    const home = rulesOf("home", ownAddressTableText(options()));
    expect(home).toContain(`ip saddr ${service} udp sport 53 ip daddr . udp dport @moved_udp_0 ip saddr set ${own}`);
  });

  test("leaves here what nodens asks to look at its sockets, whether or not it is fit for pods", () => {
    const rules = rulesOf("output", ownAddressTableText(options()));
    const watch = "@th,160,104 0x0c6e6f64656e732d7761746368";
    const stays = rules.findIndex((rule) => rule.endsWith(`udp dport 53 ${watch} notrack accept`));
    const moved = rules.findIndex((rule) => rule.startsWith(`ip daddr ${own} udp dport 53 ip daddr != @alive4`));
    expect([stays, stays < moved]).toEqual([1, true]);
  });

  test("translates no source where connections are not tracked: that would start tracking", () => {
    expect(ownAddressTableText(options())).not.toContain("type nat");
    expect(ownAddressTableText(options({ countsTracked: true }))).toContain(
      `ct original ip daddr ${service} ip saddr ${own} meta l4proto { tcp, udp } masquerade`,
    );
  });

  test("gives replies of the Service to such questions the address that was asked", () => {
    const rules = rulesOf("back", ownAddressTableText(options()));
    expect(rules).toContain(`ip saddr ${service} udp sport 53 ip daddr . udp dport @moved_udp_0 ip saddr set ${own}`);
    expect(rules).toContain(`ip saddr ${service} tcp sport 53 ip daddr . tcp dport @moved_tcp_0 ip saddr set ${own}`);
  });

  test("takes replies to test packets, and nothing else, for a sign of life, and a refusal for the end of it", () => {
    const rules = rulesOf("output", ownAddressTableText(options())).filter((rule) =>
      /(?:update|delete) @alive4/.test(rule),
    );
    expect(rules).toEqual([
      `ip saddr ${own} ip daddr ${own} udp sport 53 @th,160,112 0x0d6e6f64656e732d6865616c7468 update @alive4 { ip saddr timeout 2s }`,
      `ip saddr ${own} icmp type destination-unreachable icmp code port-unreachable delete @alive4 { ip saddr }`,
    ]);
  });

  test("without a Service of the family, leaves all questions here", () => {
    const text = ownAddressTableText(options({ own: [{ address: own, service: undefined }] }));
    expect(text).not.toContain("addr set");
    expect(text).not.toContain("moved");
  });

  test("with notrack off, still falls open", () => {
    const text = ownAddressTableText(options({ notrack: false }));
    expect(text).not.toContain("notrack");
    expect(text).toContain(`ip daddr set ${service} accept`);
  });

  test("declares every set by `typeof`: old releases of nft crash on what newer ones make with `type`", () => {
    const text = ownAddressTableText(options({ own: [{ address: own, service }, six] }));
    const count = text.match(/^ {2}set /gm)?.length;
    expect(count).toBeGreaterThan(8);
    expect(text.match(/^ {4}typeof /gm)).toHaveLength(count ?? 0);
  });

  test("does not look at connection tracking unless that is in use: looking would start it", () => {
    expect(ownAddressTableText(options())).not.toMatch(/\bct\b/);
    expect(ownAddressTableText(options({ countsTracked: true }))).toContain(
      `ip daddr ${own} meta l4proto { tcp, udp } th dport 53 ct state != untracked counter name tracked`,
    );
  });
});

describe("what the kernel counted and noted", () => {
  test("is how many packets were tracked all the same since the last time", async () => {
    const node = createFakeNode();
    const table = keepOwnAddressTable(() => options({ countsTracked: true }), node.run, node.netfilter);
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
    const refused = keepOwnAddressTable(() => options({ countsTracked: true }), node.run, node.netfilter);
    await refused.verify();
    expect([refused.countTracked(), refused.blockedPods()]).toEqual([0, { questions: 0, replies: 0 }]);
  });

  test("is which pods are blocked, each once, and a packet or two are none", async () => {
    const node = createFakeNode();
    const table = keepOwnAddressTable(
      () => options({ own: [{ address: own, service }, six] }),
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
    const table = keepOwnAddressTable(() => options({ sources }), node.run, node.netfilter);
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
    const table = keepOwnAddressTable(() => options(), node.run, node.netfilter);
    expect(await table.verify()).toEqual({ wasChanged: false, problem: undefined });
    expect(node.untracked).toContain(ownAddressTableText(options()));
  });

  test("does nothing as long as nft prints the same", async () => {
    const node = createFakeNode();
    const table = keepOwnAddressTable(() => options(), node.run, node.netfilter);
    await table.verify();
    const before = node.runs.length;
    await table.verify();
    expect(node.runs.slice(before)).toEqual(["nft list table inet nodens"]);
  });

  test("puts it again when nft prints something else, and says so once", async () => {
    const node = createFakeNode();
    const table = keepOwnAddressTable(() => options(), node.run, node.netfilter);
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
      () => options(),
      (program, args, input) => (isDeleting ? run : node.run)(program, args, input),
      node.netfilter,
    );
    await table.verify();
    isDeleting = false;
    await table.verify();
    expect(node.untracked).toContain(ownAddressTableText(options()));
  });

  test("tries again after a failure, which is not a change by somebody", async () => {
    const node = createFakeNode();
    node.failures.set("nft -f", { stderr: "Error: Could not process rule: Device or resource busy" });
    const table = keepOwnAddressTable(() => options(), node.run, node.netfilter);
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
    node.untracked = ownAddressTableText(options());
    const table = keepOwnAddressTable(() => options(), node.run, node.netfilter);
    expect(await table.verify()).toEqual({ wasChanged: false, problem: undefined });
    expect(node.runs).toEqual(["nft list table inet nodens"]);
  });

  test("does not adopt one that lacks a rule", async () => {
    const node = createFakeNode();
    node.untracked = ownAddressTableText(options()).replace(/.*dport @moved_udp_0.*\n/, "");
    await keepOwnAddressTable(() => options(), node.run, node.netfilter).verify();
    expect(node.untracked).toContain(ownAddressTableText(options()));
  });

  test("leaves the table of a nodens that came later, with other settings: two would rewrite it in turns", async () => {
    const node = createFakeNode();
    const table = keepOwnAddressTable(() => options(), node.run, node.netfilter);
    await table.verify();
    const later = ownAddressTableText(options({ sources: ["10.9.0.0/16"] }));
    node.untracked = later;
    expect((await table.verify()).wasChanged).toBe(false);
    expect(node.untracked).toBe(later);
  });

  test("follows the settings: sources that are allowed by now are served by the Service too", async () => {
    const node = createFakeNode();
    let sources = ["10.0.0.0/8"];
    const table = keepOwnAddressTable(() => options({ sources }), node.run, node.netfilter);
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
