import { describe, expect, test } from "vitest";
import { copyFilter } from "../../../src/shadow/copy-filter.ts";
import { buildPacket, serviceAddress, type TestPacket } from "../../support/messages/ip-packets.ts";
import { type PacketFacts, runBpf } from "../../support/program/run-bpf.ts";

const pod6 = "fd44::10";
const service6 = "fd96::a";
const filter = copyFilter([serviceAddress, "169.254.20.10", service6, "fd00:20::10"], 9216);

const comesIn: PacketFacts = { protocol: 0x0800, packetType: 0 };
const leaves: PacketFacts = { protocol: 0x0800, packetType: 4 };

function keeps(packet: TestPacket, facts: PacketFacts): boolean {
  const protocol = (packet.from ?? "").includes(":") ? 0x86dd : facts.protocol;
  const kept = runBpf(filter, buildPacket(packet), { ...facts, protocol });
  expect([0, 9216]).toContain(kept);
  return kept > 0;
}

const reply: TestPacket = { from: serviceAddress, to: "10.244.1.10", fromPort: 53, toPort: 40_000 };
const query6: TestPacket = { from: pod6, to: service6 };
const reply6: TestPacket = { from: service6, to: pod6, fromPort: 53, toPort: 40_000 };
const tcp = { sequence: 1 };

describe("the filter keeps", () => {
  test.each<[string, TestPacket, PacketFacts]>([
    ["a query that comes in", {}, comesIn],
    ["one on the port of a bridge, for the bridge's link address", {}, { ...comesIn, packetType: 3 }],
    ["one to the second address", { to: "169.254.20.10" }, comesIn],
    ["one over TCP", { tcp }, comesIn],
    ["one with IP options", { optionOctets: 8 }, comesIn],
    ["one over IPv6", query6, comesIn],
    ["one to the second IPv6 address", { from: pod6, to: "fd00:20::10" }, comesIn],
    ["one over IPv6 and TCP", { ...query6, tcp }, comesIn],
    [
      "one behind an extension header",
      { ...query6, extensions: [{ number: 60, rest: [0, 1, 4, 0, 0, 0, 0] }] },
      comesIn,
    ],
    ["a reply that leaves", reply, leaves],
    ["one over TCP", { ...reply, tcp }, leaves],
    ["one over IPv6", reply6, leaves],
    ["the first fragment", { fragment: 0x2000 }, comesIn],
  ])("%s", (_, packet, facts) => expect(keeps(packet, facts)).toBe(true));
});

describe("the filter drops", () => {
  test.each<[string, TestPacket, PacketFacts]>([
    ["a query that leaves, as it does behind a DNAT that left its address alone", {}, leaves],
    ["a reply that comes in", reply, comesIn],
    ["a broadcast", {}, { ...comesIn, packetType: 1 }],
    ["a query to another address, as one that was translated", { to: "10.245.1.2" }, comesIn],
    ["a reply from another address, before it was translated back", { ...reply, from: "10.245.1.2" }, leaves],
    ["another port", { toPort: 5353 }, comesIn],
    ["what only comes from port 53", { fromPort: 53, toPort: 1000 }, comesIn],
    ["another protocol", { protocol: 1 }, comesIn],
    ["a later fragment", { fragment: 0x0010 }, comesIn],
    ["a tagged packet, which passes the interface without a tag too", {}, { ...comesIn, isVlanTagged: true }],
    ["another IPv6 address that begins alike", { ...query6, to: "fd96::b" }, comesIn],
    ["another IPv6 port", { ...query6, toPort: 54 }, comesIn],
    ["another protocol over IPv6", { ...query6, protocol: 58 }, comesIn],
    ["a reply over IPv6 that comes in", reply6, comesIn],
  ])("%s", (_, packet, facts) => expect(keeps(packet, facts)).toBe(false));

  test("what is neither IPv4 nor IPv6", () => {
    expect(runBpf(filter, buildPacket({}), { protocol: 0x0806, packetType: 0 })).toBe(0);
  });

  test("what ends before its ports", () => {
    for (let size = 0; size < 24; size += 1) expect(runBpf(filter, buildPacket({}).subarray(0, size), comesIn)).toBe(0);
  });

  test("everything of a family that has no address", () => {
    const onlyIpv6 = copyFilter([service6], 9216);
    expect(runBpf(onlyIpv6, buildPacket({}), comesIn)).toBe(0);
    expect(runBpf(onlyIpv6, buildPacket(query6), { protocol: 0x86dd, packetType: 0 })).toBe(9216);
  });
});

test("as many addresses as anybody has fit into the jumps", () => {
  const many = Array.from({ length: 60 }, (_, index) => [
    `10.96.0.${index + 1}`,
    `fd96::${(index + 1).toString(16)}`,
  ]).flat();
  const program = copyFilter(many, 100);
  expect(runBpf(program, buildPacket({ to: "10.96.0.60" }), comesIn)).toBe(100);
  expect(runBpf(program, buildPacket({ from: pod6, to: "fd96::3c" }), { protocol: 0x86dd, packetType: 0 })).toBe(100);
  expect(
    runBpf(program, buildPacket({ from: "fd96::3c", to: pod6, fromPort: 53 }), { protocol: 0x86dd, packetType: 4 }),
  ).toBe(100);
});
