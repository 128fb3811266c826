import { describe, expect, test } from "vitest";
import { isBelow, ParentLevel, parentOffset, outsideLevel } from "../../../src/search/absent-parent.ts";
import { nameBytes } from "../../support/messages/messages.ts";
import { fullName, viewOf } from "./named-views.ts";

const { namespace, service } = ParentLevel;

describe("isBelow", () => {
  test.each([
    ["web.default.svc.Z", [namespace]],
    ["baidu.com.svc.Z", [namespace]],
    ["www.web.default.svc.Z", [namespace, service]],
    ["_tcp.web.default.svc.Z", [namespace, service]],
    ["_http._tcp.web.default.svc.Z", [namespace, service]],
    ["a.b.c.web.default.svc.Z", [namespace, service]],
    // The node itself is not below itself.
    ["default.svc.Z", []],
    ["svc.Z", []],
    ["Z", []],
    // CoreDNS denies these nodes although names exist below them, or the rule knows nothing about them.
    ["ns.dns.Z", []],
    ["baidu.com.Z", []],
    ["1-2-3-4.default.pod.Z", []],
    ["a.b.1-2-3-4.default.pod.Z", []],
    ["a.b.c.1-2-3-4.default.pod.Z", []],
    ["default.pod.Z", []],
    ["www.web.default.svc", []],
  ])("%s lies below the levels %j", (name, levels) => {
    const view = viewOf(name);
    expect([namespace, service].filter((level) => isBelow(view, level))).toEqual(levels);
  });
});

describe("parentOffset", () => {
  test.each([
    ["web.default.svc.Z", namespace, "default.svc.Z"],
    ["a.b.web.default.svc.Z", namespace, "default.svc.Z"],
    ["a.b.web.default.svc.Z", service, "web.default.svc.Z"],
    ["www.web.default.svc.Z", service, "web.default.svc.Z"],
  ] as const)("of %s at level %i is where %s starts", (name, level, parent) => {
    const view = viewOf(name);
    expect(view.octets.subarray(parentOffset(view, level), view.sizeBytes)).toEqual(nameBytes(fullName(parent)));
  });
});

describe("outsideLevel", () => {
  const isTopLevelDomain = (label: string) => ["com", "net", "dev", "xn--p1ai"].includes(label);

  test.each([
    // The namespace's suffix: the top-level domain is in the place of a Service.
    ["baidu.com.default.svc.Z", service],
    ["www.baidu.com.default.svc.Z", service],
    ["a.b.example.com.default.svc.Z", service],
    ["xn--80ak6aa92e.xn--p1ai.default.svc.Z", service],
    // The suffix svc.Z: the top-level domain is in the place of a namespace.
    ["baidu.com.svc.Z", namespace],
    ["www.baidu.com.svc.Z", namespace],
    ["a.b.example.com.svc.Z", namespace],
    // There is one in both places: a denial of the namespace covers more.
    ["baidu.com.dev.svc.Z", namespace],
    // There is one in neither place, or the name is the node itself.
    ["web.default.svc.Z", undefined],
    ["web-0.web.default.svc.Z", undefined],
    ["com.default.svc.Z", undefined],
    ["com.svc.Z", undefined],
    ["baidu.com.Z", undefined],
    ["com.web.default.svc.Z", undefined],
    ["1-2-3-4.com.pod.Z", undefined],
    ["baidu.com", undefined],
  ])("%s: level %s", (name, level) => {
    expect(outsideLevel(viewOf(name), isTopLevelDomain)).toBe(level);
  });
});
