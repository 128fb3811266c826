import { describe, expect, test } from "vitest";
import {
  type InterceptTarget,
  interceptTableText,
  probeTargets,
  renewText,
  withdrawText,
} from "../../../src/attach/intercept-table.ts";

const four: InterceptTarget = { virtualAddress: "10.96.0.10", host: "169.254.20.10", port: 10_053 };
const second: InterceptTarget = { virtualAddress: "10.96.0.11", host: "169.254.20.10", port: 10_054 };
const six: InterceptTarget = { virtualAddress: "fd96::a", host: "fd00:20::10", port: 10_053 };

const options = { table: "t", probePort: 10_052, notrack: true, countsTracked: false };

/** The rules of one chain, in order. */
function rulesOf(chain: string, interceptions: readonly InterceptTarget[], notrack = true): string[] {
  const start = `add rule inet t ${chain} `;
  return interceptTableText({ ...options, interceptions, notrack })
    .split("; ")
    .filter((command) => command.startsWith(start))
    .map((command) => command.slice(start.length));
}

describe("the table", () => {
  test("is one line: one transaction of nft", () => {
    const text = interceptTableText({ ...options, interceptions: [four, six] });
    expect(text).not.toContain("\n");
    expect(text).toMatch(/^add table inet t \{ flags owner; /);
  });

  test("rewrites a Service address only while it is in the set of its family", () => {
    const questions = rulesOf("questions", [four, six]).filter((rule) => !rule.startsWith("iif lo"));
    expect(questions).toHaveLength(4);
    for (const rule of questions) expect(rule).toMatch(/ip daddr @alive4|ip6 daddr @alive6/);
  });

  test("gives each Service its port, and each port its Service back", () => {
    const questions = rulesOf("questions", [four, second]);
    const replies = rulesOf("replies", [four, second]);
    for (const { virtualAddress, host, port } of [four, second]) {
      for (const transport of ["udp", "tcp"]) {
        expect(questions).toContain(
          `iif != lo ip daddr ${virtualAddress} ${transport} dport 53 ip daddr @alive4 counter name intercepted ` +
            `${transport} dport set ${port} ip daddr set ${host} notrack accept`,
        );
        expect(replies).toContain(
          `ip saddr ${host} ${transport} sport ${port} ${transport} sport set 53 ip saddr set ${virtualAddress} notrack accept`,
        );
      }
    }
  });

  test("sends back test packets before the rules for pods could take their replies", () => {
    const replies = rulesOf("replies", [four, second, six]);
    const last = replies.findLastIndex((rule) => rule.includes("sport set 10052"));
    expect(last).toBe(3);
    expect(replies.slice(last + 1).every((rule) => rule.includes("sport set 53"))).toBe(true);
  });

  test("drops what is sent to a port of a Service itself, before any rewriting", () => {
    const text = interceptTableText({ ...options, interceptions: [four, six] });
    expect(text).toContain("add chain inet t closed { type filter hook prerouting priority raw - 20;");
    expect(text).toContain("add chain inet t questions { type filter hook prerouting priority raw - 10;");
    expect(rulesOf("closed", [four, six])).toHaveLength(4);
    for (const rule of rulesOf("closed", [four, six])) expect(rule).toMatch(/dport 10053 drop$/);
  });

  test("with tracking keeps only test packets out of it, and changes replies behind NAT", () => {
    const tracked = rulesOf("questions", [four], false).filter((rule) => !rule.startsWith("iif lo"));
    expect([...tracked, ...rulesOf("replies", [four], false)].join()).not.toContain("notrack");
    expect(rulesOf("probes", [four], false).every((rule) => rule.endsWith("notrack"))).toBe(true);
    expect(interceptTableText({ ...options, interceptions: [four], notrack: false })).toContain(
      "replies { type filter hook postrouting priority srcnat + 100;",
    );
  });
});

test("test packets go to each own address once", () => {
  expect(probeTargets([four, second, six])).toEqual([four, six]);
});

test("the renewal names each address in the set of its family", () => {
  const commands = renewText("t", ["10.96.0.10", "fd96::a"]).split("; ");
  expect(commands.filter((command) => command.includes("inet t alive4 { 10.96.0.10"))).toHaveLength(3);
  expect(commands.filter((command) => command.includes("inet t alive6 { fd96::a"))).toHaveLength(3);
  expect(renewText("t", ["10.96.0.10", "fd96::a"])).not.toContain("\n");
});

test("the withdrawal empties both sets", () => {
  expect(withdrawText("t")).toBe("flush set inet t alive4; flush set inet t alive6");
});
