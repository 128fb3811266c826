import { describe, expect, test } from "vitest";
import { isAtOrBelow, isReverseZone, zonesOf } from "../../../src/migrate/corefile-zones.ts";

function read(...keys: string[]) {
  const { zones, unusable } = zonesOf({ keys, directives: [], line: 1 });
  return { zones: zones.map(({ zone, port }) => `${zone} ${port}`), unusable: unusable.map(({ why }) => why) };
}

describe("a key of a server block", () => {
  test.each([
    ["cluster.local:53", ["cluster.local 53"]],
    ["Cluster.Local.", ["cluster.local 53"]],
    [".", [". 53"]],
    [".:1053", [". 1053"]],
    ["dns://.:53", [". 53"]],
    ["${ZONE}:53", ["${ZONE} 53"]],
    ["10.0.0.0/8", ["10.in-addr.arpa 53"]],
    ["10.1.2.0/24:53", ["2.1.10.in-addr.arpa 53"]],
    ["10.0.0.0/7", ["10.in-addr.arpa 53", "11.in-addr.arpa 53"]],
    [
      "172.16.0.0/30",
      [
        "0.0.16.172.in-addr.arpa 53",
        "1.0.16.172.in-addr.arpa 53",
        "2.0.16.172.in-addr.arpa 53",
        "3.0.16.172.in-addr.arpa 53",
      ],
    ],
    ["0.0.0.0/0", ["in-addr.arpa 53"]],
    ["fd00::/8", ["d.f.ip6.arpa 53"]],
    ["fd00:10:96::/47", ["6.9.0.0.0.1.0.0.0.0.d.f.ip6.arpa 53", "7.9.0.0.0.1.0.0.0.0.d.f.ip6.arpa 53"]],
    ["::/0", ["ip6.arpa 53"]],
  ])("%s is %j", (key, zones) => {
    expect(read(key)).toEqual({ zones, unusable: [] });
  });

  test.each([
    ["tls://example.org", "nodens answers over UDP and TCP only"],
    ["https://.:443", "nodens answers over UDP and TCP only"],
    ["example.org:70000", "there is no such port"],
    [".:0", "there is no such port"],
    ["10.0.0.0/33", "it is not a range of addresses"],
    ["a..b", "it is not a domain name that settings accept"],
    ["*.example.org", "it is not a domain name that settings accept"],
    ["10.0/16", "it is not a domain name that settings accept"],
  ])("%s is none: %s", (key, why) => {
    expect(read(key, "example.net")).toEqual({ zones: ["example.net 53"], unusable: [why] });
  });
});

test.each([
  ["in-addr.arpa", true],
  ["1.10.in-addr.arpa", true],
  ["ip6.arpa", true],
  ["notin-addr.arpa", false],
  ["in-addr.arpa.example", false],
])("%s is a reverse zone: %s", (zone, expected) => {
  expect(isReverseZone(zone)).toBe(expected);
});

test.each([
  ["a.example", "example", true],
  ["example", "example", true],
  ["bexample", "example", false],
  ["example", ".", true],
  [".", "example", false],
])("%s is at or below %s: %s", (zone, parent, expected) => {
  expect(isAtOrBelow(zone, parent)).toBe(expected);
});
