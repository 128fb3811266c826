/*
 * The nftables table that redirects to nodens what pods ask the kube-dns Service, without connection tracking and without the
 * kernel's NAT: addresses and ports are rewritten packet by packet.
 *
 *     pod ── VIP:53 ──▶ prerouting, before raw:  VIP:53 → own:port, if the VIP is in the set of those that are alive
 *     pod ◀── VIP:53 ── output, before raw:      own:port → VIP:53
 *
 * Each Service address has a port of its own at nodens: from that port the reply gets the address that was asked as its source,
 * and questions to our own address, port 53, stay as they are. The port before is for nodens's own test packets, which cross lo
 * and meet the same hooks: they show whether a packet that is rewritten here arrives, and its reply too.
 */
import { isIPv6 } from "node:net";

/** A Service address and where its questions are to arrive: an address of the same family, and a port. */
export interface InterceptTarget {
  readonly virtualAddress: string;
  readonly host: string;
  readonly port: number;
}

/** What the text depends on. */
export interface InterceptTableOptions {
  readonly table: string;
  readonly interceptions: readonly InterceptTarget[];
  /** The port of test packets, on each `host`: they arrive where the first interception of the family does. */
  readonly probePort: number;
  /** Whether to keep the traffic out of connection tracking. */
  readonly notrack: boolean;
  /** Whether to count what is tracked all the same. Only where connection tracking is in use: looking would start it. */
  readonly countsTracked: boolean;
}

/** How long a Service address stays in the set unless it is renewed. */
export const aliveSeconds = 2;

/** Names of the packet counters: rewritten, passed by every other rule of the node, and tracked. */
export const counterNames = { intercepted: "intercepted", delivered: "delivered", tracked: "tracked" } as const;

/**
 * The commands that make the table, one transaction. It belongs to the nft process that runs them (`flags owner`): the kernel
 * removes it when that ends, and nobody else can change it.
 */
export function interceptTableText(options: InterceptTableOptions): string {
  const { table, interceptions, probePort, notrack, countsTracked } = options;
  // Before iptables' raw table, so that its rules see the packets that nodens gets.
  const early = "raw - 10";
  // With tracking, the reply must first be seen as the reply to a tracked question; it is rewritten last, behind NAT.
  const [replyHook, replyPriority] = notrack ? ["output", early] : ["postrouting", "srcnat + 100"];
  const end = notrack ? " notrack" : "";
  // In a chain that comes before the rewriting of every table of nodens: with two of them on the node, the second must not take
  // what the first has rewritten for a direct packet.
  const direct = interceptions.flatMap(({ host, port }) =>
    forBoth((transport) => `${ip(host)} daddr ${host} ${transport} dport ${port} drop`),
  );
  const probes = probeTargets(interceptions).flatMap(({ host, port }) =>
    forBoth((transport) => {
      const toProbe = `iif lo ${ip(host)} daddr ${host} ${transport} dport ${probePort}`;
      return `${toProbe} ${transport} dport set ${port} notrack accept`;
    }),
  );
  const questions = interceptions.flatMap(({ virtualAddress, host, port }) =>
    forBoth((transport) => {
      // Not what comes over lo: where NodeLocal DNSCache has the Service address on the node, our own questions to it do.
      const toService = `iif != lo ${ip(host)} daddr ${virtualAddress} ${transport} dport 53`;
      const asked = `${toService} ${ip(host)} daddr @${aliveSet(host)}`;
      const counted = `counter name ${counterNames.intercepted}`;
      return `${asked} ${counted} ${transport} dport set ${port} ${ip(host)} daddr set ${host}${end} accept`;
    }),
  );
  // Test packets and their replies are never worth an entry.
  const untrackedProbes = probeTargets(interceptions).flatMap(({ host, port }) =>
    forBoth((transport) => {
      const own = `${ip(host)} saddr ${host} ${ip(host)} daddr ${host} ${transport}`;
      return [`${own} dport ${probePort} notrack`, `${own} sport ${port} notrack`];
    }).flat(),
  );
  const probeReplies = probeTargets(interceptions).flatMap(({ host, port }) =>
    forBoth((transport) => {
      const reply = `${ip(host)} saddr ${host} ${ip(host)} daddr ${host} ${transport} sport ${port}`;
      return `${reply} ${transport} sport set ${probePort}${end} accept`;
    }),
  );
  const replies = interceptions.flatMap(({ virtualAddress, host, port }) =>
    forBoth((transport) => {
      const reply = `${ip(host)} saddr ${host} ${transport} sport ${port}`;
      return `${reply} ${transport} sport set 53 ${ip(host)} saddr set ${virtualAddress}${end} accept`;
    }),
  );
  const arrivals = interceptions.flatMap(({ host, port }) =>
    forBoth((transport) => {
      const toUs = `iif != lo ${ip(host)} daddr ${host} ${transport} dport ${port}`;
      const delivered = `${toUs} counter name ${counterNames.delivered}`;
      return notrack && countsTracked
        ? [delivered, `${toUs} ct state != untracked counter name ${counterNames.tracked}`]
        : [delivered];
    }).flat(),
  );
  return [
    `add table inet ${table} { flags owner; comment "nodens: questions to kube-dns are answered here"; }`,
    `add set inet ${table} alive4 { typeof ip daddr; flags timeout; }`,
    `add set inet ${table} alive6 { typeof ip6 daddr; flags timeout; }`,
    ...Object.values(counterNames).map((name) => `add counter inet ${table} ${name}`),
    ...chain(table, "closed", "prerouting priority raw - 20", direct),
    ...chain(table, "questions", `prerouting priority ${early}`, [...probes, ...questions]),
    ...chain(table, "arrivals", "input priority filter + 300", arrivals),
    ...chain(table, "probes", "output priority raw - 20", untrackedProbes),
    ...chain(table, "replies", `${replyHook} priority ${replyPriority}`, [...probeReplies, ...replies]),
  ].join("; ");
}

/** The commands that renew a Service address in the set: one transaction, the only way to renew a time-out in older kernels. */
export function renewText(table: string, virtualAddresses: readonly string[]): string {
  return virtualAddresses
    .flatMap((address) => {
      const inSet = `element inet ${table} ${aliveSet(address)}`;
      const element = `${address} timeout ${aliveSeconds}s`;
      // Added first, because one that is not there cannot be deleted.
      return [`add ${inSet} { ${element} }`, `delete ${inSet} { ${address} }`, `add ${inSet} { ${element} }`];
    })
    .join("; ");
}

/** The commands that stop the interception of new questions; replies to those that came before are still rewritten. */
export function withdrawText(table: string): string {
  return `flush set inet ${table} alive4; flush set inet ${table} alive6`;
}

/** The first interception of each family: where test packets arrive. */
export function probeTargets(interceptions: readonly InterceptTarget[]): InterceptTarget[] {
  return interceptions.filter(
    ({ host }, position) => interceptions.findIndex((other) => other.host === host) === position,
  );
}

function chain(table: string, name: string, hook: string, rules: readonly string[]): string[] {
  return [
    `add chain inet ${table} ${name} { type filter hook ${hook}; policy accept; }`,
    ...rules.map((rule) => `add rule inet ${table} ${name} ${rule}`),
  ];
}

function forBoth<Rules>(rule: (transport: "udp" | "tcp") => Rules): Rules[] {
  return [rule("udp"), rule("tcp")];
}

function ip(host: string): "ip" | "ip6" {
  return isIPv6(host) ? "ip6" : "ip";
}

function aliveSet(host: string): "alive4" | "alive6" {
  return isIPv6(host) ? "alive6" : "alive4";
}
