/*
 * The cluster and the world outside that the search rules are tried on, and an embedded cluster DNS for them that counts what
 * clients have it asked.
 */
import { type ClusterDns, startClusterDns } from "../../../src/cluster-dns/cluster-dns-server.ts";
import { type ClusterZone, createClusterZone } from "../../../src/cluster-dns/cluster-zone.ts";
import type { ZoneDefinition } from "../../../src/cluster-dns/zone-file.ts";
import { isProbe } from "./scripted-upstream.ts";

/** The search list of a pod in the namespace default. */
export const podSearchList = ["default.svc.cluster.local", "svc.cluster.local", "cluster.local"] as const;

/** What a cluster has beside `web`: of everything that has a name in DNS, something. */
export const searchZone: ZoneDefinition = {
  zone: "cluster.local",
  ttl: 30,
  pods: "insecure",
  namespaces: {
    default: {
      services: {
        web: {
          clusterIPs: ["10.96.0.7"],
          ports: [{ name: "http", port: 80 }],
          endpoints: [{ ip: "10.244.0.7" }],
        },
        dual: { clusterIPs: ["10.96.0.8", "fd00::8"] },
        six: { clusterIPs: ["fd00::9"] },
        db: {
          ports: [{ name: "postgres", port: 5432 }],
          endpoints: [
            { ip: "10.244.1.21", hostname: "db-0" },
            { ip: "10.244.1.22", hostname: "db-1" },
            { ip: "10.244.1.23", hostname: "db-2", ready: false },
          ],
        },
        starting: { endpoints: [{ ip: "10.244.1.41", ready: false }] },
        partner: { externalName: "www.example.com" },
        inner: { externalName: "web.default.svc.cluster.local" },
      },
    },
    // A namespace and a Service whose names are top-level domains.
    dev: { services: { com: { clusterIPs: ["10.96.1.7"], endpoints: [{ ip: "10.244.2.7", hostname: "www" }] } } },
    ns2: {
      pods: ["10.244.3.7"],
      services: {
        api: { clusterIPs: ["10.96.2.7"], ports: [{ name: "dns", port: 53, protocol: "UDP" }] },
        cache: { endpoints: [{ ip: "10.244.3.7" }, { ip: "fd00:10:244::1f" }] },
      },
    },
    empty: {},
    "kube-system": { services: { "kube-dns": { clusterIPs: ["10.96.0.10"] } } },
  },
  outside: {
    ttl: 300,
    names: {
      "baidu.com": { A: ["192.0.2.20"] },
      "example.com": { A: ["192.0.2.10"], AAAA: ["2001:db8::10"] },
      "www.baidu.com": { CNAME: "baidu.com" },
      "www.example.com": { CNAME: "example.com" },
      "a.b.example.com": { A: ["192.0.2.11"] },
      "c.d.example.com": { A: ["192.0.2.12"] },
    },
  },
};

/** An embedded cluster DNS and what it was asked for clients: probes are left out. */
export interface CountedClusterDns {
  readonly dns: ClusterDns;
  readonly zone: ClusterZone;
  /** "HOST:PORT", for settings. */
  readonly address: string;
  /** "NAME TYPE" of each query for a client, in order. */
  readonly asked: string[];
}

/** Starts one on a free port. `wrap` may put something in front of the zone, as a `hosts` line would. */
export async function startCountedClusterDns(
  definition: ZoneDefinition = searchZone,
  wrap: (zone: ClusterZone) => ClusterZone = (zone) => zone,
): Promise<CountedClusterDns> {
  const asked: string[] = [];
  const zone = wrap(createClusterZone(definition));
  const dns = await startClusterDns({
    address: { host: "127.0.0.1", port: 0 },
    zone,
    outside: "built-in",
    onQuery(query) {
      if (!isProbe(query)) asked.push(`${query.name} ${query.type}`);
    },
  });
  return { dns, zone, address: `127.0.0.1:${dns.address.port}`, asked };
}
