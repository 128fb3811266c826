import { expect, test } from "vitest";
import { clusterReverseZones, reverseZonesOf } from "../../../src/settings/reverse-zones.ts";
import { defaultSettings, type Settings } from "../../../src/settings/settings-table.ts";

/** Default settings with these ranges allowed, and these reverse zones if any are given. */
function settingsWith(ranges: [string, number][], reverseZones?: string[]): Settings {
  const settings = defaultSettings();
  const allow = ranges.map(([address, prefixLength]) => ({ address, prefixLength }));
  const cluster = reverseZones === undefined ? settings.cluster : { ...settings.cluster, reverseZones };
  return { ...settings, listen: { ...settings.listen, allow }, cluster };
}

test("by default the shared range of RFC 6598 belongs to the cluster, and what lies beside it does not", () => {
  const zones = clusterReverseZones(defaultSettings());
  for (const octet of [64, 100, 127]) expect(zones).toContain(`${octet}.100.in-addr.arpa`);
  for (const octet of [63, 128]) expect(zones).not.toContain(`${octet}.100.in-addr.arpa`);
  expect(zones).toContain("10.in-addr.arpa");
  expect(new Set(zones).size).toBe(zones.length);
});

test("every range of listen.allow belongs to it, a prefix between two octets as all zones of it", () => {
  const zones = clusterReverseZones(
    settingsWith([
      ["203.0.112.0", 22],
      ["2001:db8::", 33],
    ]),
  );
  for (const octet of [112, 113, 114, 115]) expect(zones).toContain(`${octet}.0.203.in-addr.arpa`);
  for (const digit of [0, 7]) expect(zones).toContain(`${digit}.8.b.d.0.1.0.0.2.ip6.arpa`);
  expect(zones).not.toContain("8.8.b.d.0.1.0.0.2.ip6.arpa");
});

test("a range of everything adds no zone", () => {
  expect(clusterReverseZones(settingsWith([["0.0.0.0", 0]]))).toEqual(defaultSettings().cluster.reverseZones);
});

test.each([[[]], [["10.in-addr.arpa"]]])("zones that were set are all there are: %j", (zones) => {
  expect(clusterReverseZones(settingsWith([["100.64.0.0", 10]], zones))).toEqual(zones);
});

test.each([
  ["10.0.0.0", 8, ["10.in-addr.arpa"]],
  ["192.0.2.7", 32, ["7.2.0.192.in-addr.arpa"]],
  ["192.0.2.0", 31, ["0.2.0.192.in-addr.arpa", "1.2.0.192.in-addr.arpa"]],
  ["fe80::", 10, ["8.e.f.ip6.arpa", "9.e.f.ip6.arpa", "a.e.f.ip6.arpa", "b.e.f.ip6.arpa"]],
  ["10.0.0.0", 33, undefined],
])("%s/%i", (address, length, zones) => {
  expect(reverseZonesOf(address, length)).toEqual(zones);
});
