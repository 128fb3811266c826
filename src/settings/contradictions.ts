/*
 * What only several settings together show: that they contradict each other, or that one has no effect, or an unwanted one, beside
 * another. Pure: from settings to findings, without places.
 */
import { isIP, isIPv4, SocketAddress } from "node:net";
import { formatServerAddress, type ServerAddress } from "../runtime/server-address.ts";
import { closingMs } from "./operator-settings.ts";
import type { Settings } from "./settings-table.ts";
import { virtualAddressesOf } from "./virtual-addresses.ts";

/** A finding about several settings. */
export interface Contradiction {
  /** The settings and values involved; the first that was written by someone is where the finding is reported. */
  readonly paths: readonly (readonly PropertyKey[])[];
  /** Completes a sentence that begins with the first path. */
  readonly wrong: string;
}

/** Settings with which nodens must not start. */
export function findContradictions(settings: Settings): Contradiction[] {
  return [
    ...nowhere(settings),
    ...nobodyToAsk(settings),
    ...attachAddresses(settings),
    ...repeatedAddresses(settings),
    ...loops(settings),
    ...adminCollisions(settings),
    ...stubDomainCollisions(settings),
    ...swappedBounds(settings),
    ...longDrain(settings),
  ];
}

/** Settings that work but probably not as meant. */
export function findDoubts(settings: Settings): Contradiction[] {
  const { listen, upstream, cache, cluster } = settings;
  const doubts: Contradiction[] = [];
  for (const { path, address } of serverListsOf(settings).flat()) {
    // "${IP}:53" with an IPv6 address is an address of its own.
    if (address.port !== 53 || !/:.*:53$/.test(address.host)) continue;
    const wrong = `is the IPv6 address ${address.host}; if you meant 53 as the port, put the address in brackets`;
    doubts.push({ paths: [path], wrong });
  }
  for (const [position, { address, prefixLength }] of listen.allow.entries()) {
    if (prefixLength > 0) continue;
    const wrong = `lets every ${isIPv4(address) ? "IPv4" : "IPv6"} address ask: with a public address, nodens is an open resolver`;
    doubts.push({ paths: [["listen", "allow", position]], wrong });
  }
  for (const zone of Object.keys(upstream.stubDomains)) {
    if (!zone.endsWith(`.${cluster.domain}`)) continue;
    const wrong = `lies below cluster.domain (${cluster.domain}): the search rules deny none of its names, and pods that ask kube-dns itself, as they do while nodens is away, find them only if kube-dns forwards the zone too`;
    doubts.push({ paths: [["upstream", "stubDomains", zone]], wrong });
  }
  if (cache.staleSeconds > 0 && cache.staleAfterMs >= upstream.deadlineMs) {
    const wrong = "is not below upstream.deadlineMs: nodens gives stale answers only after the upstream has failed";
    doubts.push({
      paths: [
        ["cache", "staleAfterMs"],
        ["upstream", "deadlineMs"],
      ],
      wrong,
    });
  }
  // Each send waits twice as long as the one before: 1 + 2 + 4 times the first.
  const allSendsMs = (2 ** (upstream.maxSends - 1) - 1) * upstream.tcp.queryTimeoutMs;
  if (allSendsMs > upstream.deadlineMs) {
    const wrong = `leaves no time for all of upstream.maxSends: the last of the ${upstream.maxSends} would leave after ${allSendsMs} ms, upstream.deadlineMs is ${upstream.deadlineMs}`;
    const paths = [
      ["upstream", "tcp", "queryTimeoutMs"],
      ["upstream", "maxSends"],
      ["upstream", "deadlineMs"],
    ];
    doubts.push({ paths, wrong });
  }
  return doubts;
}

interface PlacedAddress {
  readonly path: readonly PropertyKey[];
  readonly address: ServerAddress;
}

function listenAddressesOf({ listen, attach }: Settings): PlacedAddress[] {
  // Nothing is opened for pods, whatever is listed.
  if (attach.mode === "observe") return [];
  const listening = listen.addresses.map((address, position): PlacedAddress => {
    return { path: ["listen", "addresses", position], address };
  });
  if (!usesOwnAddresses(attach.mode)) return listening;
  const attached = attach.addresses.map((host, position): PlacedAddress => {
    return { path: ["attach", "addresses", position], address: { host, port: 53 } };
  });
  // Naming such an address in both places says the same thing twice, which is not a contradiction.
  return [...listening.filter(({ address }) => !attached.some((own) => isSame(own.address, address))), ...attached];
}

/** nodens has to be reachable somewhere. */
function nowhere(settings: Settings): Contradiction[] {
  if (settings.attach.mode === "observe") return nothingToWatch(settings);
  if (listenAddressesOf(settings).length > 0) return [];
  const paths = [
    ["listen", "addresses"],
    ["attach", "mode"],
  ];
  return [{ paths, wrong: "is empty, and attach.mode adds no address: nodens would listen nowhere" }];
}

function nothingToWatch(settings: Settings): Contradiction[] {
  if (virtualAddressesOf(settings).length > 0) return [];
  const paths = [
    ["attach", "virtualAddresses"],
    ["upstream", "servers"],
  ];
  return [
    { paths, wrong: "is empty, and upstream.servers names none: observe needs the address of the kube-dns Service" },
  ];
}

/** The example zone of the embedded cluster DNS is never taken for the cluster's: it answers only where that was asked for. */
function nobodyToAsk({ upstream }: Settings): Contradiction[] {
  if (upstream.servers.length > 0 || upstream.embedded) return [];
  const paths = [
    ["upstream", "servers"],
    ["upstream", "embedded"],
  ];
  const wrong =
    "is empty: nodens would have nobody to ask; name the cluster's DNS Service, or, to try nodens without a cluster, set upstream.embedded (without a settings file: --embedded)";
  return [{ paths, wrong }];
}

/** What cannot be set up on the node about `attach.addresses` and the Service addresses. */
function attachAddresses({ attach, upstream }: Settings): Contradiction[] {
  if (!usesOwnAddresses(attach.mode)) return [];
  const findings: Contradiction[] = [];
  const ownOf = (family: number) => attach.addresses.filter((address) => isIP(address) === family);
  for (const family of [4, 6]) {
    const [, second] = ownOf(family);
    if (second === undefined) continue;
    const path = ["attach", "addresses", attach.addresses.indexOf(second)];
    findings.push({ paths: [path], wrong: `is a second IPv${family} address; name one per family` });
  }
  if (attach.mode !== "intercept") return findings;
  const virtual = virtualAddressesOf({ attach, upstream });
  if (virtual.length === 0) {
    const paths = [
      ["attach", "virtualAddresses"],
      ["upstream", "servers"],
    ];
    const wrong = "is empty, and upstream.servers names none: intercept needs the address of the kube-dns Service";
    findings.push({ paths, wrong });
  }
  for (const [position, address] of virtual.entries()) {
    const paths = [
      attach.virtualAddresses.length > 0 ? ["attach", "virtualAddresses", position] : ["upstream", "servers"],
      ["attach", "addresses"],
    ];
    const family = isIP(address);
    if (ownOf(family).length === 0) {
      findings.push({
        paths,
        wrong: `(${address}) needs an IPv${family} address in attach.addresses to be redirected to`,
      });
    }
    if (attach.addresses.includes(address)) findings.push({ paths, wrong: `(${address}) is in attach.addresses too` });
    if (virtual.indexOf(address) !== position) findings.push({ paths, wrong: `has ${address} a second time` });
  }
  return findings;
}

function isSame(one: ServerAddress, other: ServerAddress): boolean {
  return one.port === other.port && canonicalHost(one.host) === canonicalHost(other.host);
}

function serverListsOf({ upstream }: Settings): PlacedAddress[][] {
  const lists: [PropertyKey[], readonly ServerAddress[]][] = [
    [["upstream", "servers"], upstream.servers],
    [["upstream", "outsideServers"], upstream.outsideServers],
    ...Object.entries(upstream.stubDomains).map(([zone, servers]): [PropertyKey[], readonly ServerAddress[]] => [
      ["upstream", "stubDomains", zone],
      servers,
    ]),
  ];
  return lists.map(([path, servers]) => servers.map((address, position) => ({ path: [...path, position], address })));
}

function repeatedAddresses(settings: Settings): Contradiction[] {
  const listening = listenAddressesOf(settings).filter(({ address }) => address.port !== 0);
  return [listening, ...serverListsOf(settings)].flatMap((list) => {
    const seen = new Set<string>();
    return list.flatMap(({ path, address }) => {
      const text = `${canonicalHost(address.host)} ${address.port}`;
      if (!seen.has(text)) {
        seen.add(text);
        return [];
      }
      return [{ paths: [path], wrong: `is ${formatServerAddress(address)} a second time` }];
    });
  });
}

/** A server that is nodens itself would ask itself the same question until every limit is reached. */
function loops(settings: Settings): Contradiction[] {
  const listening = listenAddressesOf(settings);
  return serverListsOf(settings)
    .flat()
    .flatMap((server) => {
      const own = listening.find(({ address }) => isReachedAt(address, server.address));
      if (own === undefined) return [];
      const wrong = `is ${formatServerAddress(server.address)}, where nodens itself listens (${formatServerAddress(own.address)}): a loop`;
      return [{ paths: [server.path, own.path], wrong }];
    });
}

function adminCollisions(settings: Settings): Contradiction[] {
  const { address } = settings.admin;
  const taken = listenAddressesOf(settings).find(
    ({ address: own }) => own.port === address.port && own.port !== 0 && overlap(own.host, address.host),
  );
  if (taken === undefined) return [];
  const wrong = `is ${formatServerAddress(address)}, which listen.addresses has too`;
  return [{ paths: [["admin", "address"], taken.path], wrong }];
}

function stubDomainCollisions({ upstream, cluster }: Settings): Contradiction[] {
  return Object.keys(upstream.stubDomains)
    .filter((zone) => zone === cluster.domain || cluster.reverseZones.includes(zone))
    .map((zone) => ({
      paths: [
        ["upstream", "stubDomains", zone],
        zone === cluster.domain ? ["cluster", "domain"] : ["cluster", "reverseZones"],
      ],
      wrong: `is a zone of the cluster (cluster.domain, cluster.reverseZones), whose servers are upstream.servers`,
    }));
}

/** Pairs of numbers of which the first has to stay below, or not above, the second. */
function swappedBounds({ upstream, cache, limits }: Settings): Contradiction[] {
  const below = [
    ["upstream.tcp.connectTimeoutMs", upstream.tcp.connectTimeoutMs, "upstream.deadlineMs", upstream.deadlineMs],
    ["upstream.tcp.queryTimeoutMs", upstream.tcp.queryTimeoutMs, "upstream.deadlineMs", upstream.deadlineMs],
    ["upstream.udp.retransmitMs", upstream.udp.retransmitMs, "upstream.deadlineMs", upstream.deadlineMs],
  ] as const;
  const { probeIntervalMs, maxBackoffMs } = upstream.health;
  const notAbove = [
    ["upstream.health.probeIntervalMs", probeIntervalMs, "upstream.health.maxBackoffMs", maxBackoffMs],
    ["cache.failureTtlSeconds", cache.failureTtlSeconds, "cache.maxFailureTtlSeconds", cache.maxFailureTtlSeconds],
    ["cache.maxDenialTtlSeconds", cache.maxDenialTtlSeconds, "cache.maxTtlSeconds", cache.maxTtlSeconds],
    ["limits.maxWaitersPerClient", limits.maxWaitersPerClient, "limits.maxWaiters", limits.maxWaiters],
  ] as const;
  return [
    ...below.filter(([, low, , high]) => low >= high).map((row) => ({ row, relation: "not below" })),
    ...notAbove.filter(([, low, , high]) => low > high).map((row) => ({ row, relation: "above" })),
  ].map(({ row: [path, low, boundPath, bound], relation }) => ({
    paths: [path.split("."), boundPath.split(".")],
    wrong: `(${low}) is ${relation} ${boundPath} (${bound})`,
  }));
}

/** nodens would be killed while it still answers. */
function longDrain({ shutdown: { drainMs, gracePeriodSeconds } }: Settings): Contradiction[] {
  if (drainMs + closingMs <= gracePeriodSeconds * 1000) return [];
  const paths = [
    ["shutdown", "drainMs"],
    ["shutdown", "gracePeriodSeconds"],
  ];
  const wrong = `(${drainMs}) leaves less than ${closingMs} ms of shutdown.gracePeriodSeconds (${gracePeriodSeconds}), which is to be the pod's terminationGracePeriodSeconds`;
  return [{ paths, wrong }];
}

/** Whether a packet to `server` arrives at a socket bound to `own`. Of a wildcard's addresses only loopback is known here. */
function isReachedAt(own: ServerAddress, server: ServerAddress): boolean {
  if (own.port !== server.port) return false;
  const host = canonicalHost(server.host);
  return canonicalHost(own.host) === host || (isWildcard(own.host) && (host === "::1" || host.startsWith("127.")));
}

function overlap(a: string, b: string): boolean {
  return canonicalHost(a) === canonicalHost(b) || isWildcard(a) || isWildcard(b);
}

function isWildcard(host: string): boolean {
  return host === "0.0.0.0" || canonicalHost(host) === "::";
}

/** One spelling per address: "0:0::1" and "::1" are the same host. A zone ("%eth0") stays as it is. */
function canonicalHost(host: string): string {
  if (isIPv4(host)) return host;
  const [address = "", interfaceName] = host.split("%");
  const canonical = new SocketAddress({ address, family: "ipv6" }).address;
  return interfaceName === undefined ? canonical : `${canonical}%${interfaceName}`;
}

/** Whether `attach.addresses` mean anything with a mode. */
export function usesOwnAddresses(mode: Settings["attach"]["mode"]): boolean {
  return mode === "link-local" || mode === "intercept";
}
