import { describe, expect, test } from "vitest";
import { ownAddressTableText } from "../../../src/attach/own-address-table.ts";
import { ownAddressOptions } from "../../support/node/own-address-options.ts";

const own = "169.254.20.10";
const service = "10.96.0.10";
const six = { address: "fd00:20::10", service: "fd00:96::10" };

/** The rules of a chain, in order. */
function rulesOf(name: string, text: string): string[] {
  const [, body = ""] =
    new RegExp(`chain ${name} \\{\\n.*policy accept;\\n([^}]*(?:\\{[^}]*\\}[^}]*)*?)\\n  \\}\\n`).exec(text) ?? [];
  return body.split("\n").map((line) => line.trim());
}

describe("the text", () => {
  test("keeps questions and replies of both families out of connection tracking, before iptables' raw table", () => {
    const text = ownAddressTableText(ownAddressOptions({ own: [{ address: own, service }, six] }));
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
    const rules = rulesOf("prerouting", ownAddressTableText(ownAddressOptions()));
    const alive = rules.findIndex((rule) => rule.endsWith("@alive4 notrack accept"));
    const moved = rules.findIndex((rule) => rule.startsWith(`ip daddr ${own} udp`));
    expect(alive).toBeGreaterThan(0);
    expect(rules[moved]).toContain("ip saddr @served4");
    expect(rules[moved]).toMatch(new RegExp(`ip daddr set ${service} accept$`));
    expect(alive).toBeLessThan(moved);
  });

  test("sends on what the node itself asks too, but for test packets: what they ask has to come here to be a sign of life", () => {
    const rules = rulesOf("output", ownAddressTableText(ownAddressOptions()));
    // The labels "nodens-health" and "nodens-away", behind the headers of UDP and DNS.
    const away = rules.findIndex((rule) => rule.includes("@th,160,96 0x0b6e6f64656e732d61776179 update @moved_udp_0"));
    expect(rules[away]).toContain(`ip saddr ${own}`);
    expect(rules[away]).not.toContain("fell_open");
    expect(rules[away]).toMatch(new RegExp(`ip daddr set ${service} accept$`));
    const test = rules.findIndex((rule) => rule.includes("@th,160,112 0x0d6e6f64656e732d6865616c7468 notrack accept"));
    const moved = rules.findIndex((rule) => rule.startsWith(`ip daddr ${own} udp dport 53 ip daddr != @alive4`));
    expect(rules[moved]).toMatch(new RegExp(`ip daddr set ${service} accept$`));
    expect([test, test < moved]).toEqual([0, true]);
    const home = rulesOf("home", ownAddressTableText(ownAddressOptions()));
    expect(home).toContain(`ip saddr ${service} udp sport 53 ip daddr . udp dport @moved_udp_0 ip saddr set ${own}`);
  });

  test("leaves here what nodens asks to look at its sockets, whether or not it is fit for pods", () => {
    const rules = rulesOf("output", ownAddressTableText(ownAddressOptions()));
    const watch = "@th,160,104 0x0c6e6f64656e732d7761746368";
    const stays = rules.findIndex((rule) => rule.endsWith(`udp dport 53 ${watch} notrack accept`));
    const moved = rules.findIndex((rule) => rule.startsWith(`ip daddr ${own} udp dport 53 ip daddr != @alive4`));
    expect([stays, stays < moved]).toEqual([1, true]);
  });

  test("translates no source where connections are not tracked: that would start tracking", () => {
    expect(ownAddressTableText(ownAddressOptions())).not.toContain("type nat");
    expect(ownAddressTableText(ownAddressOptions({ countsTracked: true }))).toContain(
      `ct original ip daddr ${service} ip saddr ${own} meta l4proto { tcp, udp } masquerade fully-random`,
    );
  });

  test("gives replies of the Service to such questions the address that was asked", () => {
    const rules = rulesOf("back", ownAddressTableText(ownAddressOptions()));
    expect(rules).toContain(`ip saddr ${service} udp sport 53 ip daddr . udp dport @moved_udp_0 ip saddr set ${own}`);
    expect(rules).toContain(`ip saddr ${service} tcp sport 53 ip daddr . tcp dport @moved_tcp_0 ip saddr set ${own}`);
  });

  test("takes replies to test packets, and nothing else, for a sign of life, and a refusal for the end of it", () => {
    const rules = rulesOf("output", ownAddressTableText(ownAddressOptions())).filter((rule) =>
      /(?:update|delete) @alive4/.test(rule),
    );
    expect(rules).toEqual([
      `ip saddr ${own} ip daddr ${own} udp sport 53 @th,160,112 0x0d6e6f64656e732d6865616c7468 update @alive4 { ip saddr timeout 2s }`,
      `ip saddr ${own} icmp type destination-unreachable icmp code port-unreachable delete @alive4 { ip saddr }`,
    ]);
  });

  test("without a Service of the family, leaves all questions here", () => {
    const text = ownAddressTableText(ownAddressOptions({ own: [{ address: own, service: undefined }] }));
    expect(text).not.toContain("addr set");
    expect(text).not.toContain("moved");
  });

  test("with notrack off, still falls open", () => {
    const text = ownAddressTableText(ownAddressOptions({ notrack: false }));
    expect(text).not.toContain("notrack");
    expect(text).toContain(`ip daddr set ${service} accept`);
  });

  test("declares every set by `typeof`: old releases of nft crash on what newer ones make with `type`", () => {
    const text = ownAddressTableText(ownAddressOptions({ own: [{ address: own, service }, six] }));
    const count = text.match(/^ {2}set /gm)?.length;
    expect(count).toBeGreaterThan(8);
    expect(text.match(/^ {4}typeof /gm)).toHaveLength(count ?? 0);
  });

  test("does not look at connection tracking unless that is in use: looking would start it", () => {
    expect(ownAddressTableText(ownAddressOptions())).not.toMatch(/\bct\b/);
    expect(ownAddressTableText(ownAddressOptions({ countsTracked: true }))).toContain(
      `ip daddr ${own} meta l4proto { tcp, udp } th dport 53 ct state != untracked counter name tracked`,
    );
  });
});
