/* What CoreDNS answers for each shape of name under a cluster zone, row by row, tested on the example zone. */
import { Packet } from "dns2";
import type { Resource } from "dns2";
import { describe, expect, test } from "vitest";
import { createClusterZone } from "../../../src/cluster-dns/cluster-zone.ts";
import type { ClusterZone } from "../../../src/cluster-dns/cluster-zone.ts";
import { readZoneFile } from "../../../src/cluster-dns/zone-file.ts";

const types = { ...Packet.TYPE, HTTPS: 65, TYPE65280: 65_280, IXFR: 251 };
type TypeName = keyof typeof types;
const example = createClusterZone(readZoneFile());
const verified = createClusterZone({ ...readZoneFile(), pods: "verified" });
const disabled = createClusterZone({ ...readZoneFile(), pods: "disabled" });

/** One line for an answer: the data of its records, or NXDOMAIN, NODATA, REFUSED, OUTSIDE (not the zone's to answer). */
function ask(question: string, zone: ClusterZone = example): string {
  const [name = "", type = "A"] = question.split(" ");
  const answer = zone.answer({ name: name.replace(/\bZ$/, "cluster.local"), type: types[type as TypeName] });
  if (answer === undefined) return "OUTSIDE";
  if (answer.rcode === Packet.RCODE.REFUSED) return "REFUSED";
  if (answer.rcode === Packet.RCODE.NXDOMAIN) return "NXDOMAIN";
  if (answer.answers.length === 0) return "NODATA";
  const target = answer.outside === undefined ? "" : ` then ${answer.outside.target}`;
  return answer.answers.map(describeData).join(" ") + target;
}

function describeData(record: Resource): string {
  const service = [record.priority, record.weight, record.port, record.target].join("/");
  const text = Array.isArray(record.data) ? record.data.join() : undefined;
  return record.address ?? record.domain ?? record.ns ?? text ?? record.primary ?? service;
}

describe("names under the cluster zone (kubernetes plugin of CoreDNS)", () => {
  test.each([
    ["baidu.com.Z", "NXDOMAIN"],
    ["redis.Z", "NXDOMAIN"],
    ["www.baidu.com.Z AAAA", "NXDOMAIN"],

    ["com.default.svc.Z", "NXDOMAIN"],
    ["web.shop.svc.Z", "10.96.12.7"],
    ["db.shop.svc.Z", "10.244.1.21 10.244.1.22"],
    ["starting.shop.svc.Z", "NXDOMAIN"],
    ["starting.shop.svc.Z TXT", "NXDOMAIN"],

    ["baidu.com.default.svc.Z", "NXDOMAIN"],
    ["db-0.db.shop.svc.Z", "10.244.1.21"],
    ["db-2.db.shop.svc.Z", "NXDOMAIN"],
    ["10-244-1-21.db.shop.svc.Z", "NXDOMAIN"],
    ["10-244-1-31.cache.shop.svc.Z", "10.244.1.31"],
    ["fd00-10-244--1f.cache.shop.svc.Z AAAA", "fd00:10:244::1f"],
    ["10-244-1-11.web.shop.svc.Z", "10.244.1.11"],
    ["10-244-1-99.web.shop.svc.Z", "NXDOMAIN"],
    ["x.partner.shop.svc.Z", "NXDOMAIN"],

    ["baidu.com.svc.Z", "NXDOMAIN"],
    ["www.baidu.com.svc.Z", "NXDOMAIN"],

    ["p.q.web.shop.svc.Z", "NXDOMAIN"],
    ["http.tcp.web.shop.svc.Z", "10.96.12.7"],
    ["_http._tcp.web.shop.svc.Z", "10.96.12.7"],
    ["_http.tcp.web.shop.svc.Z", "10.96.12.7"],
    ["http.udp.web.shop.svc.Z", "NXDOMAIN"],
    ["https.tcp.web.shop.svc.Z", "NXDOMAIN"],
    ["_._tcp.web.shop.svc.Z", "10.96.12.7"],
    ["_http._.web.shop.svc.Z", "10.96.12.7"],
    ["redis.tcp.cache.shop.svc.Z AAAA", "fd00:10:244::1f"],

    ["a.b.c.web.shop.svc.Z", "NXDOMAIN"],
    ["a.b.c.d.e.shop.svc.Z", "NXDOMAIN"],

    ["_http._tcp.web.shop.svc.Z SRV", "0/100/80/web.shop.svc.cluster.local"],
    ["_ftp._tcp.web.shop.svc.Z SRV", "NXDOMAIN"],
    ["web.shop.svc.Z SRV", "0/50/80/web.shop.svc.cluster.local 0/50/9100/web.shop.svc.cluster.local"],
    ["_dns._udp.kube-dns.kube-system.svc.Z SRV", "0/100/53/kube-dns.kube-system.svc.cluster.local"],
    ["_grpc._tcp.api.shop.svc.Z SRV", "0/50/9000/api.shop.svc.cluster.local"],
    [
      "_postgres._tcp.db.shop.svc.Z SRV",
      "0/50/5432/db-0.db.shop.svc.cluster.local 0/50/5432/db-1.db.shop.svc.cluster.local",
    ],
    ["partner.shop.svc.Z SRV", "NODATA"],

    ["_tcp.web.shop.svc.Z", "NXDOMAIN"],
    ["_tcp.web.shop.svc.Z SRV", "NXDOMAIN"],

    ["1-2-3-4.shop.pod.Z", "1.2.3.4"],
    ["1-2-3-4.shop.pod.Z AAAA", "NODATA"],
    ["fd00--5.shop.pod.Z AAAA", "fd00::5"],
    ["1-2-3-4.absent.pod.Z", "NXDOMAIN"],
    ["1-2-3.shop.pod.Z", "NXDOMAIN"],
    ["1-2-3-400.shop.pod.Z", "NXDOMAIN"],
    ["web.shop.pod.Z", "NXDOMAIN"],
    ["a.b.1-2-3-4.shop.pod.Z", "1.2.3.4"],
    ["b.1-2-3-4.shop.pod.Z", "1.2.3.4"],
    ["a.b.c.1-2-3-4.shop.pod.Z", "NXDOMAIN"],
    ["1-2-3-4.shop.pod.Z SRV", "0/100/0/1-2-3-4.shop.pod.cluster.local"],

    ["Z", "NODATA"],
    ["svc.Z", "NODATA"],
    ["pod.Z AAAA", "NODATA"],
    ["Z SOA", "ns.dns.cluster.local"],
    ["Z NS", "kube-dns.kube-system.svc.cluster.local"],
    ["Z TXT", "NXDOMAIN"],
    ["svc.Z TXT", "NXDOMAIN"],
    ["pod.Z TXT", "NXDOMAIN"],
    ["Z HTTPS", "NODATA"],
    ["svc.Z SRV", "NODATA"],

    ["shop.svc.Z", "NODATA"],
    ["staging.svc.Z", "NODATA"],
    ["absent.svc.Z", "NXDOMAIN"],
    ["shop.pod.Z", "NODATA"],
    ["absent.pod.Z", "NXDOMAIN"],
    ["shop.svc.Z TXT", "NXDOMAIN"],
    ["shop.pod.Z TXT", "NXDOMAIN"],

    ["web.shop.svc.Z AAAA", "NODATA"],
    ["api.shop.svc.Z AAAA", "fd00:10:96::c08"],
    ["api.shop.svc.Z A", "10.96.12.8"],
    ["web.shop.svc.Z HTTPS", "NODATA"],
    ["web.shop.svc.Z TXT", "NODATA"],
    ["web.shop.svc.Z CNAME", "NODATA"],
    ["web.shop.svc.Z MX", "NODATA"],
    ["web.shop.svc.Z NS", "NODATA"],
    ["web.shop.svc.Z PTR", "NODATA"],
    ["web.shop.svc.Z CAA", "NODATA"],
    ["web.shop.svc.Z TYPE65280", "NODATA"],
    ["web.shop.svc.Z ANY", "NODATA"],
    ["absent.shop.svc.Z HTTPS", "NXDOMAIN"],
    ["absent.shop.svc.Z MX", "NXDOMAIN"],

    ["web.shop.svc.Z SOA", "NODATA"],
    ["absent.Z SOA", "NODATA"],
    ["a.b.c.d.e.f.Z SOA", "NODATA"],
    ["Z AXFR", "REFUSED"],
    ["Z IXFR", "REFUSED"],
    ["absent.Z AXFR", "REFUSED"],

    ["*.shop.svc.Z", "NXDOMAIN"],
    ["any.shop.svc.Z", "NXDOMAIN"],
  ])("%s is %s", (question, expected) => {
    expect(ask(question)).toBe(expected);
  });
});

describe("pod names by mode", () => {
  test.each([
    ["verified", verified, "10-244-1-11.shop.pod.Z", "10.244.1.11"],
    ["verified", verified, "10-244-1-11.default.pod.Z", "NXDOMAIN"],
    ["verified", verified, "1-2-3-4.shop.pod.Z", "NXDOMAIN"],
    ["verified", verified, "shop.pod.Z", "NODATA"],
    ["disabled", disabled, "10-244-1-11.shop.pod.Z", "NXDOMAIN"],
    ["disabled", disabled, "shop.pod.Z", "NXDOMAIN"],
    ["disabled", disabled, "pod.Z", "NODATA"],
  ])("pods %s", (_mode, zone, question, expected) => {
    expect(ask(question, zone)).toBe(expected);
  });
});

describe("names that CoreDNS denies although there is something below or beside them", () => {
  test.each([
    ["_tcp.web.shop.svc.Z", "NXDOMAIN"],
    ["dns.Z", "NXDOMAIN"],
    ["ns.dns.Z", "10.96.0.10"],
    ["ns.dns.Z AAAA", "NODATA"],
    ["ns.dns.Z HTTPS", "NODATA"],
    ["ns.dns.Z TXT", "NXDOMAIN"],
    ["ns.dns.Z PTR", "NXDOMAIN"],
    ["_zone.web.shop.svc.Z", "NXDOMAIN"],
    ["pin._zone.web.shop.svc.Z", "NXDOMAIN"],
    ["dns-version.Z TXT", "1.1.0"],
    ["dns-version.Z A", "NXDOMAIN"],
    ["dns-version.Z AAAA", "NXDOMAIN"],
    ["dns-version.Z NS", "NXDOMAIN"],
    ["x.dns-version.Z TXT", "NXDOMAIN"],
  ])("%s is %s", (question, expected) => {
    expect(ask(question)).toBe(expected);
  });
});

describe("ExternalName Services", () => {
  test.each([
    ["partner.shop.svc.Z", "www.example.com then www.example.com"],
    ["partner.shop.svc.Z AAAA", "www.example.com then www.example.com"],
    ["partner.shop.svc.Z CNAME", "www.example.com"],
    ["partner.shop.svc.Z TXT", "NODATA"],
    ["_x._y.partner.shop.svc.Z CNAME", "www.example.com"],
    ["storefront.shop.svc.Z", "web.shop.svc.cluster.local 10.96.12.7"],
    ["storefront.shop.svc.Z AAAA", "NODATA"],
  ])("%s is %s", (question, expected) => {
    expect(ask(question)).toBe(expected);
  });

  test("a loop of Services is NODATA", () => {
    const zone = createClusterZone({ zone: "cluster.local" });
    zone.addService("shop", "a", { externalName: "b.shop.svc.cluster.local" });
    zone.addService("shop", "b", { externalName: "a.shop.svc.cluster.local" });
    expect(ask("a.shop.svc.Z", zone)).toBe("NODATA");
  });

  test("a Service that stands for an absent one is NODATA, even through another one", () => {
    const zone = createClusterZone({ zone: "cluster.local" });
    zone.addService("shop", "a", { externalName: "b.shop.svc.cluster.local" });
    zone.addService("shop", "b", { externalName: "absent.shop.svc.cluster.local" });
    expect(ask("a.shop.svc.Z", zone)).toBe("NODATA");
  });

  test("an outside target that cannot be looked up is NODATA", () => {
    const answer = example.answer({ name: "partner.shop.svc.cluster.local", type: types.A });
    expect(answer?.outside?.otherwise).toMatchObject({ rcode: Packet.RCODE.NOERROR, answers: [] });
    expect(answer?.outside?.otherwise.authority[0]?.name).toBe("cluster.local");
  });
});

describe("reverse names", () => {
  test.each([
    ["1.0.96.10.in-addr.arpa PTR", "kubernetes.default.svc.cluster.local"],
    ["21.1.244.10.in-addr.arpa PTR", "db-0.db.shop.svc.cluster.local"],
    ["31.1.244.10.in-addr.arpa PTR", "10-244-1-31.cache.shop.svc.cluster.local"],
    ["11.1.244.10.in-addr.arpa PTR", "10-244-1-11.web.shop.svc.cluster.local"],
    ["8.0.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.6.9.0.0.0.1.0.0.0.0.d.f.ip6.arpa PTR", "api.shop.svc.cluster.local"],
    [
      "F.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.4.4.2.0.0.1.0.0.0.0.D.F.IP6.ARPA PTR",
      "fd00-10-244--1f.cache.shop.svc.cluster.local",
    ],
    ["23.1.244.10.in-addr.arpa PTR", "OUTSIDE"],
    ["4.3.2.1.in-addr.arpa PTR", "OUTSIDE"],
    ["0.96.10.in-addr.arpa PTR", "OUTSIDE"],
    ["x.1.0.96.10.in-addr.arpa PTR", "OUTSIDE"],
    ["1.0.96.10.in-addr.arpa A", "OUTSIDE"],
    ["in-addr.arpa", "NODATA"],
    ["in-addr.arpa SOA", "ns.dns.in-addr.arpa"],
    ["1.0.96.10.in-addr.arpa SOA", "NODATA"],
    ["1.0.96.10.in-addr.arpa AXFR", "REFUSED"],
  ])("%s is %s", (question, expected) => {
    expect(ask(question)).toBe(expected);
  });
});

describe("names in and outside the zone", () => {
  test.each([
    ["WEB.Shop.SVC.Cluster.LOCAL", "10.96.12.7"],
    ["_HTTP._Tcp.Web.shop.svc.CLUSTER.local", "10.96.12.7"],
    ["DB-0.db.shop.svc.Z", "10.244.1.21"],
    ["DNS-Version.Z TXT", "1.1.0"],
    ["NS.dns.Z", "10.96.0.10"],
    ["local", "OUTSIDE"],
    ["example.com", "OUTSIDE"],
    ["xcluster.local", "OUTSIDE"],
    ["x\\.cluster.local", "OUTSIDE"],
    ["web\\.shop.svc.Z", "NXDOMAIN"],
    ["", "OUTSIDE"],
  ])("%s is %s", (question, expected) => {
    expect(ask(question)).toBe(expected);
  });

  test("answers and denials have AA and not RA", () => {
    for (const name of ["web.shop.svc.cluster.local", "absent.cluster.local", "svc.cluster.local"]) {
      expect(example.answer({ name, type: types.A })).toMatchObject({ authoritative: true, recursionAvailable: false });
    }
  });
});

describe("records", () => {
  test("owners keep the spelling of the question, and so do zone and targets", () => {
    const answer = example.answer({ name: "_grpc._tcp.API.shop.svc.Cluster.Local", type: types.SRV });
    expect(answer?.answers[0]).toMatchObject({
      name: "_grpc._tcp.API.shop.svc.Cluster.Local",
      target: "api.shop.svc.Cluster.Local",
    });
    const denial = example.answer({ name: "absent.Cluster.Local", type: types.A });
    expect(denial?.authority[0]).toMatchObject({ name: "Cluster.Local", primary: "ns.dns.Cluster.Local" });
  });

  test("SRV comes with the addresses of its targets, of both families, once each", () => {
    const answer = example.answer({ name: "api.shop.svc.cluster.local", type: types.SRV });
    expect(answer?.additionals.map(({ name, address }) => [name, address])).toEqual([
      ["api.shop.svc.cluster.local", "10.96.12.8"],
      ["api.shop.svc.cluster.local", "fd00:10:96::c08"],
    ]);
    const web = example.answer({ name: "web.shop.svc.cluster.local", type: types.SRV });
    expect(web?.additionals).toHaveLength(1);
  });

  test("NS comes with the address of the name server", () => {
    const answer = example.answer({ name: "cluster.local", type: types.NS });
    expect(answer?.additionals).toMatchObject([
      { name: "kube-dns.kube-system.svc.cluster.local", address: "10.96.0.10" },
    ]);
  });

  test("a denial carries the SOA of the zone: TTL min(ttl, 300), MINIMUM ttl", () => {
    const soaOf = (zone: ClusterZone) => zone.answer({ name: "absent.cluster.local", type: types.A })?.authority[0];
    expect(soaOf(example)).toMatchObject({
      name: "cluster.local",
      primary: "ns.dns.cluster.local",
      admin: "hostmaster.cluster.local",
      ttl: 30,
      minimum: 30,
    });
    expect(soaOf(createClusterZone({ zone: "cluster.local", ttl: 600 }))).toMatchObject({ ttl: 300, minimum: 600 });
  });

  test("records live for the zone's TTL, the schema version for eight hours", () => {
    expect(example.answer({ name: "web.shop.svc.cluster.local", type: types.A })?.answers[0]?.ttl).toBe(30);
    expect(example.answer({ name: "dns-version.cluster.local", type: types.TXT })?.answers[0]?.ttl).toBe(28_800);
  });

  test("a Service without ports has addresses but no SRV", () => {
    const zone = createClusterZone({ zone: "cluster.local" });
    zone.addService("shop", "bare", { clusterIPs: ["10.96.1.1"] });
    expect(ask("bare.shop.svc.Z", zone)).toBe("10.96.1.1");
    expect(ask("bare.shop.svc.Z SRV", zone)).toBe("NODATA");
    expect(ask("_x._tcp.bare.shop.svc.Z", zone)).toBe("NXDOMAIN");
  });

  test("without a Service kube-dns the server names itself", () => {
    const zone = createClusterZone({ zone: "cluster.local" });
    expect(ask("ns.dns.Z", zone)).toBe("127.0.0.1");
    expect(ask("Z NS", zone)).toBe("ns.dns.cluster.local");
  });
});

describe("a zone that changes while it is served", () => {
  test("a Service comes and goes, its namespace stays, and the serial grows each time", () => {
    const zone = createClusterZone({ zone: "cluster.local" });
    const serials = [zone.serial];
    expect(ask("new.shop.svc.Z", zone)).toBe("NXDOMAIN");
    zone.addService("shop", "new", { clusterIPs: ["10.96.1.1"] });
    serials.push(zone.serial);
    expect(ask("new.shop.svc.Z", zone)).toBe("10.96.1.1");
    expect(zone.removeService("shop", "new")).toBe(true);
    serials.push(zone.serial);
    expect(ask("new.shop.svc.Z", zone)).toBe("NXDOMAIN");
    expect(ask("shop.svc.Z", zone)).toBe("NODATA");
    expect(zone.removeService("shop", "new")).toBe(false);
    expect(serials).toEqual(serials.toSorted((a, b) => a - b));
    expect(new Set(serials).size).toBe(3);
  });

  test("a headless Service exists as long as an endpoint is ready", () => {
    const zone = createClusterZone({ zone: "cluster.local" });
    zone.addService("shop", "db", { endpoints: [{ ip: "10.244.0.9", ready: false }] });
    expect(ask("db.shop.svc.Z", zone)).toBe("NXDOMAIN");
    zone.addService("shop", "db", { endpoints: [{ ip: "10.244.0.9" }] });
    expect(ask("db.shop.svc.Z", zone)).toBe("10.244.0.9");
  });

  test("a namespace is removed with its Services", () => {
    const zone = createClusterZone({ zone: "cluster.local" });
    zone.addService("shop", "web", { clusterIPs: ["10.96.1.1"] });
    expect(zone.removeNamespace("shop")).toBe(true);
    expect(ask("shop.svc.Z", zone)).toBe("NXDOMAIN");
    zone.addNamespace("shop");
    expect(ask("shop.svc.Z", zone)).toBe("NODATA");
    expect(ask("web.shop.svc.Z", zone)).toBe("NXDOMAIN");
  });

  test.each([
    ["a wrong address", "web", { clusterIPs: ["10.96.1"] }, "clusterIPs.0: must be an IP address"],
    ["a name of two labels", "web.x", {}, 'the name "web.x": must be one lower-case DNS label'],
    ["an address as ExternalName", "web", { externalName: "192.0.2.1" }, "externalName: "],
  ])("%s is refused", (_what, name, service, message) => {
    const zone = createClusterZone({ zone: "cluster.local" });
    expect(() => zone.addService("shop", name, service)).toThrow(message);
  });
});
