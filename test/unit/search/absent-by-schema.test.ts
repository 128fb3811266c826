import { describe, expect, test } from "vitest";
import { isAbsentBySchema, isExempted } from "../../../src/search/absent-by-schema.ts";
import { createClusterZone } from "../../../src/cluster-dns/cluster-zone.ts";
import { nameBytes, Type } from "../../support/messages/messages.ts";
import { fullName, viewOf } from "./named-views.ts";

const plain = { exemptions: [], isMulticluster: false };
const endsOutsideName = (label: string) => label === "com" || label === "local";

/** Names that no zone of CoreDNS's kubernetes plugin can hold, and that a search list produces. */
const absent = [
  ["baidu.com.Z", "the last label is neither svc nor pod"],
  ["www.baidu.com.default.svc.Z", "the protocol baidu"],
  ["a.b.example.com.svc.Z", "the protocol b"],
  ["a.b.example.com.default.svc.Z", "three labels left of the Service"],
  ["a.tcp.b.example.com.default.svc.Z", "four labels left of the Service"],
  ["web.default.svc.cluster.local.default.svc.Z", "a complete name of the zone"],
  ["web.default.svc.cluster.local.Z", "the same, with the last suffix"],
] as const;

/** Names that it cannot hold either, but that another line of the Corefile may add: they do not look like outside names. */
const unlikely = [
  ["redis.Z", "the same, one label"],
  ["a.b.c.d.e.f.g.Z", "the same, many labels"],
  ["svc.svcs.Z", "the same, with svc further left"],
  ["p.q.c.default.svc.Z", "the protocol q"],
  ["http.tcpx.web.default.svc.Z", "a protocol that starts like a known one"],
  ["http.icmp.web.default.svc.Z", "a protocol that Services do not have"],
  ["baidu.default.pod.Z", "a pod that is not an address"],
  ["a.b.baidu.default.pod.Z", "the same, with labels that are ignored"],
  ["1-2.default.pod.Z", "too few parts of an address"],
  ["a.b.c.1-2-3-4.default.pod.Z", "more labels than are ignored"],
] as const;

/** Names that may exist, or lie above names that exist. */
const possible = [
  ["Z", "the zone"],
  ["svc.Z", "a fixed node"],
  ["pod.Z", "a fixed node"],
  ["default.svc.Z", "a namespace"],
  ["com.svc.Z", "a namespace, even with this name"],
  ["default.pod.Z", "a namespace of pods"],
  ["com.default.svc.Z", "a Service"],
  ["baidu.com.default.svc.Z", "an endpoint"],
  ["baidu.com.svc.Z", "a Service in the namespace com"],
  ["www.baidu.com.svc.Z", "an endpoint in the namespace com"],
  ["http.tcp.web.default.svc.Z", "a port: the underscore is optional"],
  ["dns.udp.kube-dns.kube-system.svc.Z", "a port"],
  ["p.sctp.web.default.svc.Z", "a port"],
  ["_http._tcp.web.default.svc.Z", "a port"],
  ["_http.tcp.web.default.svc.Z", "a port"],
  ["http._tcp.web.default.svc.Z", "a port"],
  ["_tcp.web.default.svc.Z", "a node above ports"],
  ["_http._q.web.default.svc.Z", "an underscore: never"],
  ["_x.y.z.web.default.svc.Z", "an underscore: never, however long"],
  ["us-east-1a.pin._zone.web.default.svc.Z", "a zonal name"],
  ["a.b.us-east-1a.prefer._zone.web.default.svc.Z", "a zonal name of an endpoint"],
  ["_service.Z", "an underscore right before the zone"],
  ["1-2-3-4.default.pod.Z", "a pod"],
  ["fd00-10-244--1f.default.pod.Z", "a pod with IPv6"],
  ["a.b.1-2-3-4.default.pod.Z", "a pod with labels that are ignored"],
  ["dns.Z", "above the name server"],
  ["ns.dns.Z", "the name server"],
  ["x.ns.dns.Z", "below the name server"],
  ["dns-version.Z", "the schema version"],
  ["x.dns-version.Z", "below the schema version"],
  ["baidu.com", "outside the zone"],
  ["xcluster.local", "outside the zone"],
] as const;

describe("isAbsentBySchema", () => {
  test.each(absent)("denies %s: %s", (name) => {
    expect(isAbsentBySchema(viewOf(name), plain, endsOutsideName)).toBe(true);
  });

  test.each(unlikely)("leaves %s to the zone's own server: %s", (name) => {
    expect(isAbsentBySchema(viewOf(name), plain, endsOutsideName)).toBe(false);
    expect(isAbsentBySchema(viewOf(name), plain, () => true)).toBe(!name.endsWith(".pod.Z"));
  });

  test.each(possible)("does not deny %s: %s", (name) => {
    expect(isAbsentBySchema(viewOf(name), plain, endsOutsideName)).toBe(false);
  });

  test.each([...absent, ...unlikely])(
    "agrees with the stand-in for CoreDNS, whatever the cluster holds: %s",
    (name) => {
      const everything = createClusterZone({
        zone: "cluster.local",
        namespaces: {
          default: {
            services: Object.fromEntries(["com", "c", "web", "baidu", "b"].map((label) => [label, anyService])),
          },
          com: { services: { example: anyService, baidu: anyService } },
        },
      });
      for (const type of [Type.A, Type.AAAA]) {
        expect(everything.answer({ name: fullName(name), type })?.rcode, `type ${type}`).toBe(3);
      }
    },
  );

  test("does not judge the protocol in a multicluster zone, where it may be a cluster", () => {
    const multicluster = { ...plain, isMulticluster: true };
    const isAbsent = (name: string) => isAbsentBySchema(viewOf(name), multicluster, () => true);
    expect(isAbsent("ep.west.web.default.svc.Z")).toBe(false);
    expect(isAbsent("west.web.default.svc.Z")).toBe(false);
    expect(isAbsent("baidu.com.Z")).toBe(true);
    expect(isAbsent("a.b.c.web.default.svc.Z")).toBe(true);
  });

  const anyService = {
    clusterIPs: ["10.96.0.7"],
    ports: [{ name: "http", port: 80 }],
    endpoints: [{ ip: "10.244.0.7", hostname: "www" }],
  };
});

describe("exemptions", () => {
  const exempted = {
    ...plain,
    exemptions: ["internal.cluster.local", "a.b.c.web.default.svc.cluster.local"].map(nameBytes),
  };

  test.each([
    ["internal.Z", true],
    ["db.internal.Z", true],
    ["a.b.internal.Z", true],
    ["xinternal.Z", false],
    ["internal.x.Z", false],
    ["Z", false],
    ["a.b.c.web.default.svc.Z", true],
    ["b.c.web.default.svc.Z", false],
    ["x.b.c.web.default.svc.Z", false],
  ])("%s is exempted: %s", (name, expected) => {
    expect(isExempted(viewOf(name), exempted)).toBe(expected);
  });

  test("keep a name from being denied, but no other", () => {
    expect(isAbsentBySchema(viewOf("db.internal.Z"), exempted, () => true)).toBe(false);
    expect(isAbsentBySchema(viewOf("db.external.Z"), exempted, () => true)).toBe(true);
  });

  test("that name the zone keep everything from being denied", () => {
    expect(
      isAbsentBySchema(viewOf("baidu.com.Z"), { ...plain, exemptions: [nameBytes("cluster.local")] }, () => true),
    ).toBe(false);
  });
});
