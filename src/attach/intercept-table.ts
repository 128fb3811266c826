/*
 * The nftables table that redirects to nodens what pods ask the kube-dns Service, without the kernel's NAT: addresses and ports are
 * rewritten packet by packet.
 *
 *     pod ── VIP:53 ──▶ prerouting, before raw:     VIP:53 → own:port, unless a switch leaves the question to kube-dns
 *     pod ◀── VIP:53 ── postrouting, behind NAT:    own:port → VIP:53; the reply sets the switches
 *
 * Nothing outside the kernel has to act while nodens works, and nothing while it does not. The sets decide:
 *
 *     alive               Service addresses, for 2 s after the reply to a test packet left the node. Every rule of the node that a
 *                         reply meets comes before: where none leaves, nothing is redirected.
 *     allowed, excepted   sources: only those that nodens would answer are redirected.
 *     replied, known      pods to which a reply left in the last 2 s, in the last minutes.
 *     waiting             pods with questions and no reply since; `young` and `lately` are those whose first such question was a
 *                         moment or some minutes ago.
 *     few, many, tries_…  how many questions a pod may ask meanwhile, and how often it tries again afterwards.
 *     tracked             pods whose untracked replies do not leave (firewalls that let out only what belongs to a known
 *                         connection): for a time their packets are tracked, still without translation.
 *     fallen              pods that ask kube-dns because no replies leave for them.
 *     left                pods some of whose questions were left to kube-dns for that in the last half minute, and how many.
 *     direct              TCP connections of pods to kube-dns: those stay there, whatever changes while they last.
 *     ending              Service addresses that are withdrawn on purpose: connections that are here may end here.
 *
 * Each Service address has a port of its own at nodens: from that port the reply gets the address that was asked as its source,
 * and questions to our own address, port 53, stay as they are. Each port has another one for test packets, which cross lo and meet
 * the same hooks.
 */
import { type AddressRange, elementsOf } from "./address-ranges.ts";
import { families, type Family, familyOf, protocol } from "./address-family.ts";
import { podChains, podSetsText, type Tracking } from "./pod-switches.ts";

/** A Service address and where its questions are to arrive: an address of the same family, and a port. */
export interface InterceptTarget {
  readonly virtualAddress: string;
  readonly host: string;
  readonly port: number;
  /** The port of `host` for test packets, which arrive at `port`. */
  readonly probePort: number;
}

/** Whose questions are redirected. */
export interface InterceptedSources {
  /** Those that nodens answers. */
  readonly allowed: readonly AddressRange[];
  /** Of these, those that ask kube-dns all the same. */
  readonly excepted: readonly AddressRange[];
}

/** What the text depends on. */
export interface InterceptTableOptions {
  readonly table: string;
  readonly targets: readonly InterceptTarget[];
  readonly tracking: Tracking;
  /** Whether to count what is tracked all the same. Only where connection tracking is in use: looking would start it. */
  readonly countsTracked: boolean;
}

/** Names of the packet counters. */
export const interceptCounters = [
  /** Questions that were redirected. */
  "intercepted",
  /** Replies that left the node. */
  "answered",
  /** Questions of pods for which no replies leave, left to kube-dns. */
  "fell_back",
  /** Questions of sources that nodens would not answer, left to kube-dns. */
  "unserved",
  /** Questions that put a pod among those that are tracked. */
  "turned_tracked",
  /** Redirected packets that were tracked although they should not be. */
  "tracked",
] as const;

/** Name of a packet counter. */
export type InterceptCounter = (typeof interceptCounters)[number];

/**
 * The commands that make the table, one transaction. It belongs to the nft process that runs them (`flags owner`): the kernel
 * removes it when that ends, and nobody else can change it. Every set says `typeof`: with `type`, old releases of nft crash on
 * what newer ones made.
 */
export function interceptTableText(options: InterceptTableOptions): string {
  const { table, targets, countsTracked, tracking } = options;
  // Before iptables' raw table, so that its rules see the packets that nodens gets.
  const early = "raw - 10";
  const byFamily = families.map((family) => ({ family, own: targets.filter(isOf(family)) }));
  const present = byFamily.filter(({ own }) => own.length > 0);
  const forEach = (rules: (family: Family, own: readonly InterceptTarget[]) => readonly string[]) =>
    present.flatMap(({ family, own }) => rules(family, own));
  const usedPorts = targets.map(({ port }) => port);
  return [
    `add table inet ${table} { flags owner; comment "nodens: questions to kube-dns are answered here"; }`,
    ...interceptCounters.map((name) => `add counter inet ${table} ${name}`),
    ...families.flatMap((family) => podSetsText(table, family)),
    ...present.flatMap(({ family }) => podChains(table, family, tracking)),
    // In a chain that comes before the rewriting of every table of nodens: with two of them on the node, the second must not take
    // what the first has rewritten for a direct packet.
    ...chain(table, "closed", "prerouting priority raw - 20", forEach(closedRules)),
    ...chain(table, "questions", `prerouting priority ${early}`, [
      ...allBut("dport", [53, ...targets.map(({ probePort }) => probePort)]),
      ...targets.flatMap(testQuestionRules),
      // Where NodeLocal DNSCache has the Service address on the node, our own questions to it cross lo.
      "iif lo accept",
      ...forEach((family, own) => questionRules(family, own, tracking)),
    ]),
    ...(countsTracked && tracking !== "always"
      ? chain(table, "arrivals", "input priority filter + 300", forEach(arrivalRules(tracking)))
      : []),
    ...chain(table, "untracked", `output priority ${early}`, [
      ...targets.flatMap(untrackedTestRules),
      ...(tracking === "always" ? [] : forEach(untrackedReplyRules(tracking))),
    ]),
    // Rewritten in a chain of its own: with two tables on the node, both see the reply before either rewrites it.
    ...chain(table, "leaving", "postrouting priority srcnat + 90", [
      ...allBut("sport", usedPorts),
      ...targets.map(renewalRule),
      ...forEach((family, own) => [`${ownSource(family, own)} goto replied${family}`]),
    ]),
    ...chain(table, "replies", "postrouting priority srcnat + 100", [
      ...allBut("sport", usedPorts),
      ...targets.flatMap(replyRules),
    ]),
  ].join("; ");
}

/** The commands that put these sources in place of those that are there. A new table has none, so it redirects nothing. */
export function sourcesText(table: string, { allowed, excepted }: InterceptedSources): string {
  return families
    .flatMap((family) => [
      ...fill(table, `allowed${family}`, elementsOf(allowed, family)),
      ...fill(table, `excepted${family}`, elementsOf(excepted, family)),
    ])
    .join("; ");
}

/** The commands that stop the interception of new questions. Open connections and replies to earlier questions go on for a while. */
export function withdrawText(table: string, targets: readonly InterceptTarget[]): string {
  const ending = targets.map(
    ({ virtualAddress }) => `add element inet ${table} ending${familyOf(virtualAddress)} { ${virtualAddress} }`,
  );
  return [...ending, `flush set inet ${table} alive4`, `flush set inet ${table} alive6`].join("; ");
}

function fill(table: string, set: string, elements: readonly string[]): string[] {
  const flush = `flush set inet ${table} ${set}`;
  return elements.length === 0 ? [flush] : [flush, `add element inet ${table} ${set} { ${elements.join(", ")} }`];
}

/** Every packet of the node comes by: most should not meet more than two rules. */
function allBut(side: "dport" | "sport", ports: readonly number[]): string[] {
  return ["meta l4proto != { tcp, udp } accept", `th ${side} != { ${[...new Set(ports)].join(", ")} } accept`];
}

function closedRules(family: Family, targets: readonly InterceptTarget[]): string[] {
  const [{ host } = { host: "" }] = targets;
  return [`${protocol(family)} daddr ${host} meta l4proto { tcp, udp } th dport ${portsOf(targets)} drop`];
}

function testQuestionRules({ host, port, probePort }: InterceptTarget): string[] {
  return forBoth((transport) => {
    const toProbe = `iif lo ${ipOf(host)} daddr ${host} ${transport} dport ${probePort}`;
    return `${toProbe} ${transport} dport set ${port} notrack accept`;
  });
}

function questionRules(family: Family, targets: readonly InterceptTarget[], tracking: Tracking): string[] {
  const ip = protocol(family);
  const services = `${ip} daddr { ${targets.map(({ virtualAddress }) => virtualAddress).join(", ")} }`;
  const later = `${services} tcp dport 53 tcp flags & (syn|ack) != syn`;
  const untracked = tracking === "auto" ? `${ip} saddr != @tracked${family} notrack` : "notrack";
  const connection = `${ip} saddr . tcp sport`;
  return [
    `${later} ${connection} @direct${family} update @direct${family} { ${connection} } accept`,
    `${later} ${ip} daddr != @alive${family} ${ip} daddr != @ending${family} accept`,
    `${services} udp dport 53 jump pod${family}`,
    `${services} tcp dport 53 tcp flags & (syn|ack) == syn jump pod${family}`,
    ...(tracking === "always" ? [] : [`${services} meta l4proto { tcp, udp } th dport 53 ${untracked}`]),
    ...targets.flatMap(({ virtualAddress, host, port }) =>
      forBoth((transport) => {
        const toService = `${ip} daddr ${virtualAddress} ${transport} dport 53`;
        return `${toService} counter name intercepted ${transport} dport set ${port} ${ip} daddr set ${host} accept`;
      }),
    ),
  ];
}

function arrivalRules(tracking: Tracking) {
  return (family: Family, targets: readonly InterceptTarget[]): string[] => {
    const ip = protocol(family);
    const fromOthers = tracking === "auto" ? ` ${ip} saddr != @tracked${family}` : "";
    const [{ host } = { host: "" }] = targets;
    const toUs = `iif != lo ${ip} daddr ${host} meta l4proto { tcp, udp } th dport ${portsOf(targets)}`;
    return [`${toUs}${fromOthers} ct state != untracked counter name tracked`];
  };
}

/** Test packets and their replies are never worth an entry. */
function untrackedTestRules({ host, port, probePort }: InterceptTarget): string[] {
  const own = `${ipOf(host)} saddr ${host} ${ipOf(host)} daddr ${host} meta l4proto { tcp, udp }`;
  return [`${own} th dport ${probePort} notrack`, `${own} th sport ${port} notrack`];
}

function untrackedReplyRules(tracking: Tracking) {
  return (family: Family, targets: readonly InterceptTarget[]): string[] => {
    const toUntracked = tracking === "auto" ? ` ${protocol(family)} daddr != @tracked${family}` : "";
    return [`${ownSource(family, targets)}${toUntracked} notrack`];
  };
}

/** The element is the Service address, which the packet carries only for the moment of the update. */
function renewalRule({ virtualAddress, host, port }: InterceptTarget): string {
  const ip = ipOf(host);
  const testReply = `${ip} saddr ${host} ${ip} daddr ${host} udp sport ${port}`;
  const renewal = `update @alive${familyOf(host)} { ${ip} saddr }`;
  return `${testReply} ${ip} saddr set ${virtualAddress} ${renewal} ${ip} saddr set ${host} accept`;
}

function replyRules({ virtualAddress, host, port, probePort }: InterceptTarget): string[] {
  const ip = ipOf(host);
  return forBoth((transport) => {
    const reply = `${ip} saddr ${host} ${transport} sport ${port}`;
    return [
      `${reply} ${ip} daddr ${host} ${transport} sport set ${probePort} accept`,
      `${reply} ${transport} sport set 53 ${ip} saddr set ${virtualAddress} accept`,
    ];
  }).flat();
}

function ownSource(family: Family, targets: readonly InterceptTarget[]): string {
  const [{ host } = { host: "" }] = targets;
  return `${protocol(family)} saddr ${host} meta l4proto { tcp, udp } th sport ${portsOf(targets)}`;
}

function portsOf(targets: readonly InterceptTarget[]): string {
  return `{ ${targets.map(({ port }) => port).join(", ")} }`;
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

function isOf(family: Family): (target: InterceptTarget) => boolean {
  return ({ host }) => familyOf(host) === family;
}

function ipOf(host: string): "ip" | "ip6" {
  return protocol(familyOf(host));
}
