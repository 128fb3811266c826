/*
 * The upstreams of the search benchmark: the embedded cluster DNS, and a real server with the same names in zone files. Both
 * listen on port 53 of an address of their own, where clients can ask them too, and count what they are asked.
 */
import { startClusterDns } from "../../src/cluster-dns/cluster-dns-server.ts";
import { createClusterZone } from "../../src/cluster-dns/cluster-zone.ts";
import { startNamed, startUnbound, type Zones } from "../../test/support/servers/real-servers.ts";
import { isProbe } from "../../test/support/servers/scripted-upstream.ts";
import { searchZone } from "../../test/support/servers/search-zone.ts";
import { Type } from "../../test/support/messages/messages.ts";
import { startCountingRelay } from "./counting-relay.ts";

/** An upstream that counts. */
export interface CountedUpstream {
  /** How many queries came for clients since the start: what nodens asks on its own account is left out. */
  count(): number;
  close(): Promise<void>;
}

/** Which upstream: the embedded cluster DNS, BIND or unbound. */
export type UpstreamKind = "embedded" | "named" | "unbound";

/** Starts one on port 53 of `host`. */
export async function startCountedUpstream(kind: UpstreamKind, host: string): Promise<CountedUpstream> {
  let queries = 0;
  const onQuery = (query: { readonly name: string; readonly type: number }) => {
    if (!isProbe({ name: query.name.toLowerCase(), type: query.type })) queries += 1;
  };
  const address = { host, port: 53 };
  const count = () => queries;
  if (kind === "embedded") {
    const dns = await startClusterDns({ address, zone: createClusterZone(searchZone), outside: "built-in", onQuery });
    return { count, close: () => dns.close() };
  }
  const server = await (kind === "named" ? startNamed(zoneFiles()) : startUnbound(zoneFiles()));
  const relay = await startCountingRelay(address, server, onQuery).catch(async (error: unknown) => {
    await server.close();
    throw error;
  });
  return {
    count,
    async close() {
      await relay.close();
      await server.close();
    },
  };
}

/** The zone as a CoreDNS answers it, written out, and what is outside. */
function zoneFiles(): Zones {
  return { "cluster.local": clusterZoneFile(), com: outsideZoneFile() };
}

function clusterZoneFile(): string {
  const zone = createClusterZone(searchZone);
  const lines = Object.entries(searchZone.namespaces ?? {}).flatMap(([namespace, { services = {} }]) => [
    // A namespace exists, also without Services.
    `${namespace}.svc TXT "a namespace"`,
    ...Object.entries(services).flatMap(([name, { endpoints = [] }]) => {
      const service = `${name}.${namespace}.svc`;
      const labels = endpoints.map(({ ip, hostname }) => hostname ?? ip.replaceAll(/[.:]/g, "-"));
      return [service, ...labels.map((label) => `${label}.${service}`)].flatMap(recordsOf);
    }),
  ]);

  function recordsOf(node: string): string[] {
    const answers = [Type.A, Type.AAAA].flatMap(
      (type) => zone.answer({ name: `${node}.cluster.local`, type })?.answers ?? [],
    );
    const own = answers.filter(({ name }) => name === `${node}.cluster.local`);
    const texts = own.map(({ type, address, domain }) =>
      type === Type.CNAME ? `${node} CNAME ${domain}.` : `${node} ${type === Type.A ? "A" : "AAAA"} ${address}`,
    );
    return [...new Set(texts)];
  }

  const head = ["@ SOA ns.dns hostmaster 1 7200 1800 86400 30", "@ NS ns.dns", "ns.dns A 10.96.0.10"];
  return zoneText("cluster.local", 30, [...head, 'dns-version TXT "1.1.0"', ...lines]);
}

function outsideZoneFile(): string {
  const lines = Object.entries(searchZone.outside?.names ?? {}).flatMap(([name, { A = [], AAAA = [], CNAME }]) => [
    ...A.map((address) => `${name}. A ${address}`),
    ...AAAA.map((address) => `${name}. AAAA ${address}`),
    ...(CNAME === undefined ? [] : [`${name}. CNAME ${CNAME}.`]),
  ]);
  return zoneText("com", 300, ["@ SOA ns hostmaster 1 7200 1800 86400 300", "@ NS ns", "ns A 192.0.2.53", ...lines]);
}

function zoneText(origin: string, ttlSeconds: number, lines: readonly string[]): string {
  return `$ORIGIN ${origin}.\n$TTL ${ttlSeconds}\n${lines.join("\n")}\n`;
}
