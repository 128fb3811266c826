import { describe, expect, test } from "vitest";
import {
  type InterceptTarget,
  interceptTableText,
  sourcesText,
  withdrawText,
} from "../../../src/attach/intercept-table.ts";
import type { Tracking } from "../../../src/attach/pod-switches.ts";

const four: InterceptTarget = { virtualAddress: "10.96.0.10", host: "169.254.20.10", port: 10_053, probePort: 10_052 };
const second: InterceptTarget = { ...four, virtualAddress: "10.96.0.11", port: 10_054, probePort: 10_051 };
const six: InterceptTarget = { ...four, virtualAddress: "fd96::a", host: "fd00:20::10" };

function textOf(targets: readonly InterceptTarget[], tracking: Tracking = "never", countsTracked = false): string {
  return interceptTableText({ table: "t", targets, tracking, countsTracked });
}

/** The rules of one chain, in order. */
function rulesOf(chain: string, targets: readonly InterceptTarget[], tracking?: Tracking): string[] {
  const start = `add rule inet t ${chain} `;
  return textOf(targets, tracking)
    .split("; ")
    .filter((command) => command.startsWith(start))
    .map((command) => command.slice(start.length));
}

describe("the table", () => {
  test("is one line: one transaction of nft", () => {
    expect(textOf([four, six])).not.toContain("\n");
    expect(textOf([four, six])).toMatch(/^add table inet t \{ flags owner; /);
  });

  test("declares every set with typeof: other people's nft may be old", () => {
    const sets = textOf([four, six]).match(/add set [^}]*}/g) ?? [];
    expect(sets.length).toBeGreaterThan(20);
    for (const set of sets) expect(set).toMatch(/\{ typeof /);
  });

  test("gives each Service its port, and each port its Service back", () => {
    const questions = rulesOf("questions", [four, second]);
    const replies = rulesOf("replies", [four, second]);
    for (const { virtualAddress, host, port } of [four, second]) {
      for (const transport of ["udp", "tcp"]) {
        expect(questions).toContain(
          `ip daddr ${virtualAddress} ${transport} dport 53 counter name intercepted ${transport} dport set ${port} ip daddr set ${host} accept`,
        );
        expect(replies).toContain(
          `ip saddr ${host} ${transport} sport ${port} ${transport} sport set 53 ip saddr set ${virtualAddress} accept`,
        );
      }
    }
  });

  test("asks each question's pod before it redirects, in the order: Service, source, pod", () => {
    const questions = rulesOf("questions", [four]);
    expect(questions.findIndex((rule) => rule.endsWith("jump pod4"))).toBeLessThan(
      questions.findIndex((rule) => rule.includes("counter name intercepted")),
    );
    const [service, source, excepted] = rulesOf("pod4", [four]);
    expect(service).toBe("ip daddr != @alive4 goto leave4");
    expect(source).toBe("ip saddr != @allowed4 counter name unserved goto leave4");
    expect(excepted).toBe("ip saddr @excepted4 goto leave4");
  });

  test("renews each Service by the reply to its own test packet, behind every other rule that the reply meets", () => {
    expect(textOf([four])).toContain("add chain inet t leaving { type filter hook postrouting priority srcnat + 90;");
    const renewals = rulesOf("leaving", [four, second, six]).filter((rule) => rule.includes("@alive"));
    expect(renewals).toHaveLength(3);
    expect(renewals[1]).toBe(
      "ip saddr 169.254.20.10 ip daddr 169.254.20.10 udp sport 10054 ip saddr set 10.96.0.11 update @alive4 { ip saddr } ip saddr set 169.254.20.10 accept",
    );
  });

  test("sends test packets of each Service back to their own port", () => {
    const replies = rulesOf("replies", [four, second, six]).filter((rule) =>
      /daddr \S+ (udp|tcp) sport set/.test(rule),
    );
    expect(replies.map((rule) => rule.match(/sport set (\d+)/)?.[1])).toEqual([
      ...["10052", "10052", "10051", "10051", "10052", "10052"],
    ]);
  });

  test("drops what is sent to a port of a Service itself, before any rewriting", () => {
    expect(textOf([four, six])).toContain("closed { type filter hook prerouting priority raw - 20;");
    expect(rulesOf("closed", [four, second, six])).toEqual([
      "ip daddr 169.254.20.10 meta l4proto { tcp, udp } th dport { 10053, 10054 } drop",
      "ip6 daddr fd00:20::10 meta l4proto { tcp, udp } th dport { 10053 } drop",
    ]);
  });

  test("with tracking keeps only test packets out of it", () => {
    const questions = rulesOf("questions", [four], "always").filter((rule) => !rule.startsWith("iif lo"));
    expect(questions.join()).not.toContain("notrack");
    for (const rule of rulesOf("untracked", [four], "always"))
      expect(rule).toMatch(/saddr (\S+) ip daddr \1 .*notrack$/);
  });

  test("with auto leaves out of tracking whoever is not among those that need it", () => {
    const untracked = [...rulesOf("questions", [four], "auto"), ...rulesOf("untracked", [four], "auto")].filter(
      (rule) => rule.endsWith("notrack") && !rule.includes("ip saddr 169.254.20.10 ip daddr 169.254.20.10"),
    );
    expect(untracked).toHaveLength(2);
    for (const rule of untracked) expect(rule).toMatch(/ip [sd]addr != @tracked4 notrack$/);
  });

  test("with auto keeps a pod among those for half an hour, however often it asks, and lets it out when an untracked reply leaves", () => {
    const text = textOf([four], "auto");
    expect(text).toMatch(/add set inet t tracked4 \{ [^}]*timeout 30m;/);
    // `update` would begin the half hour anew, `add` does not.
    const changing = text.split("; ").flatMap((command) => command.match(/(?:add|update|delete) @tracked4 .*/) ?? []);
    expect(changing).toEqual(["add @tracked4 { ip saddr }", "delete @tracked4 { ip daddr }"]);
    expect(rulesOf("replied_tracked4", [four], "auto")[0]).toBe(
      "ct state != established delete @tracked4 { ip daddr }",
    );
  });

  test("notes a pod whose question is left to kube-dns, and how many were, until half a minute after the last: no reply takes it out", () => {
    const text = textOf([four]);
    expect(text).toMatch(/add set inet t left4 \{ [^}]*timeout 30s;/);
    expect(rulesOf("fall_back4", [four])).toContain("update @left4 { ip saddr counter }");
    expect(text).not.toContain("delete @left4");
  });

  test("looks at the state of packets only where connection tracking is in use", () => {
    expect(textOf([four], "never", false)).not.toContain("ct state");
    expect(textOf([four], "never", true)).toContain("ct state != untracked counter name tracked");
  });
});

test("sources are put in place of those that were there", () => {
  const sources = {
    allowed: [{ address: "10.0.0.0", prefixLength: 8 }],
    excepted: [{ address: "fd00::", prefixLength: 16 }],
  };
  expect(sourcesText("t", sources).split("; ")).toEqual([
    "flush set inet t allowed4",
    "add element inet t allowed4 { 10.0.0.0/8 }",
    "flush set inet t excepted4",
    "flush set inet t allowed6",
    "flush set inet t excepted6",
    "add element inet t excepted6 { fd00::/16 }",
  ]);
});

test("the withdrawal empties both sets, and lets open connections end here", () => {
  expect(withdrawText("t", [four, six]).split("; ")).toEqual([
    "add element inet t ending4 { 10.96.0.10 }",
    "add element inet t ending6 { fd96::a }",
    "flush set inet t alive4",
    "flush set inet t alive6",
  ]);
});
