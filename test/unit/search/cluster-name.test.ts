import { describe, expect, test } from "vitest";
import {
  createClusterName,
  hasIpShapedPod,
  hasUnderscoreLabel,
  isLabel,
  labelOffset,
  readClusterName,
  wireLabel,
} from "../../../src/search/cluster-name.ts";
import { nameBytes } from "../../support/messages/messages.ts";
import { fullName, viewOf, zone } from "./named-views.ts";

describe("readClusterName", () => {
  test.each([
    // The zone itself, and names that only look like it.
    ["Z", "apex", 0],
    ["cluster.local.", "apex", 0],
    ["local", "elsewhere", 0],
    [".", "elsewhere", 0],
    ["xcluster.local", "elsewhere", 0],
    ["web.default.svc.xcluster.local", "elsewhere", 0],
    ["cluster.local.example", "elsewhere", 0],
    ["web.default.svc.cluster", "elsewhere", 0],
    ["baidu.com", "elsewhere", 0],
    // The last label is neither svc nor pod.
    ["baidu.com.Z", "foreign", 2],
    ["redis.Z", "foreign", 1],
    ["dns.Z", "foreign", 1],
    ["ns.dns.Z", "foreign", 2],
    ["dns-version.Z", "foreign", 1],
    ["svcs.Z", "foreign", 1],
    ["svc.default.Z", "foreign", 2],
    // Fixed nodes and namespaces.
    ["svc.Z", "branch", 1],
    ["pod.Z", "branch", 1],
    ["default.svc.Z", "namespace", 2],
    ["default.pod.Z", "namespace", 2],
    // Services and what is below them.
    ["com.default.svc.Z", "service", 3],
    ["baidu.com.svc.Z", "service", 3],
    ["baidu.com.default.svc.Z", "endpoint", 4],
    ["_tcp.web.default.svc.Z", "endpoint", 4],
    ["www.baidu.com.svc.Z", "endpoint", 4],
    ["10-244-1-31.cache.shop.svc.Z", "endpoint", 4],
    ["www.baidu.com.default.svc.Z", "port", 5],
    ["_http._tcp.web.default.svc.Z", "port", 5],
    ["http.tcp.web.default.svc.Z", "port", 5],
    ["a.b.example.com.default.svc.Z", "tooLong", 6],
    ["w.x.y.pin._zone.web.default.svc.Z", "tooLong", 8],
    // Pods, with up to two labels that are ignored.
    ["1-2-3-4.default.pod.Z", "pod", 3],
    ["a.1-2-3-4.default.pod.Z", "pod", 4],
    ["a.b.1-2-3-4.default.pod.Z", "pod", 5],
    ["a.b.c.1-2-3-4.default.pod.Z", "tooLong", 6],
  ])("%s is %s", (name, shape, labelCount) => {
    const view = viewOf(name);
    expect(view.shape).toBe(shape);
    expect(view.shape === "elsewhere" ? 0 : view.labelCount).toBe(labelCount);
  });

  test("finds every label by its distance from the zone", () => {
    const view = viewOf("port.protocol.service.namespace.svc.Z");
    const labels = ["svc", "namespace", "service", "protocol", "port"];
    labels.forEach((label, index) => {
      expect(isLabel(view, labelOffset(view, index + 1), wireLabel(label)), label).toBe(true);
    });
  });

  test("does not confuse a label with one that starts or ends like it", () => {
    const view = viewOf("svcx.Z");
    expect(isLabel(view, labelOffset(view, 1), wireLabel("svc"))).toBe(false);
    expect(isLabel(view, labelOffset(view, 1), wireLabel("svcx"))).toBe(true);
    expect(isLabel(view, labelOffset(view, 1), wireLabel("svcxy"))).toBe(false);
  });

  test("reads only the octets that belong to the name", () => {
    const octets = new Uint8Array(255);
    octets.fill(0x61);
    const name = nameBytes("web.default.svc.cluster.local");
    octets.set(name);
    const view = createClusterName();
    readClusterName(octets, name.length, zone, view);
    expect(view.shape).toBe("service");
  });

  test("leaves no trace of a longer name", () => {
    const view = createClusterName();
    for (const [name, shape] of [
      ["a.b.c.d.e.svc.Z", "tooLong"],
      ["Z", "apex"],
      ["default.svc.Z", "namespace"],
    ] as const) {
      const octets = nameBytes(fullName(name));
      readClusterName(octets, octets.length, zone, view);
      expect(view.shape).toBe(shape);
    }
    expect(view.labelCount).toBe(2);
  });

  test("reads the longest name there is: 127 labels", () => {
    const octets = nameBytes(`${"a.".repeat(120)}cluster.local`);
    expect(octets).toHaveLength(255);
    const view = createClusterName();
    readClusterName(octets, octets.length, zone, view);
    expect(view).toMatchObject({ shape: "foreign", labelCount: 120 });
  });

  test("works with a zone of one label and a zone of many", () => {
    for (const text of ["k8s", "a.b.c.d.example"]) {
      const octets = nameBytes(`web.default.svc.${text}`);
      const view = createClusterName();
      readClusterName(octets, octets.length, nameBytes(text), view);
      expect(view.shape).toBe("service");
    }
  });
});

describe("hasUnderscoreLabel", () => {
  test.each([
    ["_http._tcp.web.default.svc.Z", true],
    ["_tcp.web.default.svc.Z", true],
    ["x._zone.Z", true],
    ["_.default.svc.Z", true],
    ["a_b.default.svc.Z", false],
    ["web.default.svc.Z", false],
    ["Z", false],
  ])("%s: %s", (name, expected) => {
    expect(hasUnderscoreLabel(viewOf(name))).toBe(expected);
  });

  test("looks only left of the zone", () => {
    const octets = nameBytes("web.default.svc._k8s.example");
    const view = createClusterName();
    readClusterName(octets, octets.length, nameBytes("_k8s.example"), view);
    expect(hasUnderscoreLabel(view)).toBe(false);
  });
});

describe("hasIpShapedPod", () => {
  test.each([
    ["1-2-3-4", true],
    ["10-244-1-31", true],
    ["fd00-10-244--1f", true],
    ["--1", true],
    ["1--", true],
    ["--", true],
    ["2001-db8-0-0-0-0-0-1", true],
    ["baidu", false],
    ["a-pod-1", false],
    ["1-2", false],
    ["1234", false],
    ["1-2-3-x", false],
    ["web-0", false],
    ["_1-2-3-4", false],
  ])("%s: %s", (label, expected) => {
    expect(hasIpShapedPod(viewOf(`${label}.default.pod.Z`))).toBe(expected);
  });

  test("looks at the label before the namespace, not at the ignored ones before that", () => {
    expect(hasIpShapedPod(viewOf("x.y.1-2-3-4.default.pod.Z"))).toBe(true);
    expect(hasIpShapedPod(viewOf("1-2-3-4.x.default.pod.Z"))).toBe(false);
  });
});

test("wireLabel puts the length before the label", () => {
  expect(wireLabel("svc")).toEqual(Uint8Array.of(3, 0x73, 0x76, 0x63));
});
