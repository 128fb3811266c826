import { describe, expect, test } from "vitest";
import { parseZone, readZoneFile } from "../../../src/cluster-dns/zone-file.ts";

function problemsOf(text: string): readonly string[] {
  const parsed = parseZone(text, "zone.yaml");
  return "problems" in parsed ? parsed.problems : [];
}

describe("a zone file", () => {
  test("the example zone is valid", () => {
    expect(readZoneFile()).toMatchObject({ zone: "cluster.local", ttl: 30, pods: "insecure" });
  });

  test("needs nothing but a zone", () => {
    expect(parseZone("zone: k8s.test", "zone.yaml")).toEqual({
      zone: "k8s.test",
      ttl: 30,
      pods: "insecure",
      namespaces: {},
      outside: { ttl: 300, names: {} },
    });
  });

  test.each([
    ["not YAML", "zone: [", /^zone\.yaml:1:\d+: /],
    ["no zone", "ttl: 5", /^zone\.yaml:1:1: zone: /],
    ["an unknown key", "zone: a.b\nTTL: 5", /^zone\.yaml:1:1: .*TTL/],
    ["an unknown mode of pods", "zone: a.b\npods: some", /^zone\.yaml:2:7: pods: .*insecure/],
    [
      "a wrong address",
      "zone: a.b\nnamespaces:\n  shop:\n    services:\n      web: { clusterIPs: [10.96.0.300] }",
      /^zone\.yaml:5:\d+: namespaces\.shop\.services\.web\.clusterIPs\.0: must be an IP address$/,
    ],
    [
      "a Service of two kinds at once",
      "zone: a.b\nnamespaces:\n  shop:\n    services:\n      web: { clusterIPs: [10.96.0.3], externalName: x.y }",
      /^zone\.yaml:5:\d+: namespaces\.shop\.services\.web: .*not both$/,
    ],
  ])("%s is reported with its place", (_defect, text, expected) => {
    expect(problemsOf(text)).toEqual([expect.stringMatching(expected)]);
  });

  test("reports all problems at once", () => {
    expect(problemsOf("zone: UPPER\nttl: -1\n")).toHaveLength(2);
  });

  test("is named if it cannot be read", () => {
    expect(() => readZoneFile("/nonexistent/zone.yaml")).toThrow("cannot read the zone file /nonexistent/zone.yaml");
  });
});
