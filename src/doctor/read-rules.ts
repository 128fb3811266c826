/*
 * The rules of this network namespace, as far as they are about DNS. A node with thousands of Services has megabytes of them, so they are read
 * line by line, and only what is told is kept.
 */
import { isIPv6 } from "node:net";
import type { NodeView } from "./node-view.ts";

/** What kube-proxy and others have put there. */
export interface NodeRules {
  /** Whether iptables-save and nft could read them. */
  readonly isIptablesRead: boolean;
  readonly isNftRead: boolean;
  /** Which of kube-proxy's modes has rules here. */
  readonly proxy: "ipvs" | "nftables" | "iptables" | undefined;
  /** Whether chains or tables of kube-proxy are here, with Services or without. */
  readonly hasProxyChains: boolean;
  /** The addresses of the kube-dns Service. */
  readonly kubeDns: readonly string[];
  /** How many rules translate sources and hand out ports in order, and the first of them. */
  readonly orderedMasquerades: number;
  readonly firstOrderedMasquerade: string;
  /** Whether a rule hands packets to a program (NFQUEUE), as some agents for network policies do. */
  readonly hasQueue: boolean;
  /** Addresses whose port 53 iptables keeps out of connection tracking, as NodeLocal DNSCache has it done. */
  readonly untracked: readonly string[];
  /** Rules for port 53 that are neither kube-proxy's nor nodens's. */
  readonly others: readonly OtherRule[];
}

/** One rule for port 53. */
export interface OtherRule {
  /** Where it is: "table inet mesh", "iptables chain PROXY". */
  readonly place: string;
  /** What it does with the packet. */
  readonly does: "redirects" | "drops" | "passes";
  readonly text: string;
}

/** The rules while they are read. */
interface Reading {
  hasServices: boolean;
  hasProxyChains: boolean;
  hasNftProxy: boolean;
  /** Addresses of Services on port 53, by whether the rule names DNS. */
  readonly named: Set<string>;
  readonly unnamed: Set<string>;
  orderedMasquerades: number;
  firstOrderedMasquerade: string;
  hasQueue: boolean;
  readonly untracked: Set<string>;
  readonly others: OtherRule[];
}

/** One of each place is enough to look it up. */
const mostOthers = 16;

/** Reads the rules. */
export async function readRules({ eachLine, eachFileLine }: NodeView): Promise<NodeRules> {
  const reading: Reading = {
    hasServices: false,
    hasProxyChains: false,
    hasNftProxy: false,
    named: new Set(),
    unnamed: new Set(),
    orderedMasquerades: 0,
    firstOrderedMasquerade: "",
    hasQueue: false,
    untracked: new Set(),
    others: [],
  };
  const iptables = await eachLine("iptables-save", [], (line) => readIptablesRule(line, reading));
  await eachLine("ip6tables-save", [], (line) => readIptablesRule(line, reading));
  // Without the elements of sets, of which there may be many thousands.
  const nft = await eachLine("nft", ["-s", "-t", "list", "ruleset"], nftReader(reading, iptables.code === 0));
  if (reading.hasNftProxy) for (const family of ["ip", "ip6"]) await readServices(family, eachLine, reading);
  let hasIpvs = false;
  eachFileLine("/proc/net/ip_vs", (line) => {
    const service = ipvsForm.exec(line);
    if (service === null) return;
    hasIpvs = true;
    const [, ipv4, ipv6 = "", port] = service;
    if (port === dnsPortHex) reading.unnamed.add(ipv4 === undefined ? shortened(ipv6) : fromHex(ipv4));
  });
  const { named, unnamed, untracked, hasServices, hasNftProxy } = reading;
  return {
    ...reading,
    isIptablesRead: iptables.code === 0,
    isNftRead: nft.code === 0,
    proxy: hasIpvs ? "ipvs" : hasNftProxy ? "nftables" : hasServices ? "iptables" : undefined,
    kubeDns: [...(named.size > 0 ? named : unnamed)],
    untracked: [...untracked],
  };
}

/** A line of iptables-save. */
function readIptablesRule(line: string, reading: Reading): void {
  if (line.startsWith(":KUBE-SERVICES ") || line.startsWith("-A KUBE-SERVICES ")) reading.hasProxyChains = true;
  const chain = /^-A (\S+) /.exec(line)?.[1];
  if (chain === undefined) return;
  const target = / -j (\S+)/.exec(line)?.[1] ?? "";
  if (target === "NFQUEUE") reading.hasQueue = true;
  if (target === "MASQUERADE" && !line.includes("--random-fully")) noteOrdered(line, reading);
  if (target.startsWith("KUBE-SVC-")) reading.hasServices = true;
  if (/ --dports? (?:\d+,)*53(?:,|\s|$)/.test(line)) readDnsRule(chain, target, line, reading);
}

/** A rule for port 53. */
function readDnsRule(chain: string, target: string, line: string, reading: Reading): void {
  const to = / -d ([\da-f.:]+)/.exec(line)?.[1] ?? "";
  if (chain === "KUBE-SERVICES" && to !== "" && target.startsWith("KUBE-SVC-"))
    (/"kube-system\/[\w-]*dns[\w-]*:dns/.test(line) ? reading.named : reading.unnamed).add(to);
  else if (!chain.startsWith("KUBE-")) readOtherRule(chain, target, to, line, reading);
}

/** A rule for port 53, to the address `to` if it names one, that is not kube-proxy's. */
function readOtherRule(chain: string, target: string, to: string, line: string, reading: Reading): void {
  const place = `iptables chain ${chain}`;
  if (target === "NOTRACK" || line.includes(" --notrack")) {
    if (to !== "") reading.untracked.add(to);
  } else if (/^(?:DNAT|REDIRECT|TPROXY)$/.test(target)) noteOther({ place, does: "redirects", text: line }, reading);
  else if (/^(?:DROP|REJECT)$/.test(target)) noteOther({ place, does: "drops", text: line }, reading);
}

/** Tables that iptables keeps in nftables. What is in them, iptables-save tells, where it is there. */
const tableOfIptables = /^ip6? (?:nat|filter|raw|mangle|security)$/;

/** Takes the lines of `nft list ruleset`. */
function nftReader(reading: Reading, isIptablesRead: boolean): (line: string) => void {
  let table = "";
  let chain = "";
  return (line) => {
    table = /^table (\w+ \S+) \{/.exec(line)?.[1] ?? table;
    if (tableOfIptables.test(table) && isIptablesRead) return;
    chain = /^\s*chain (\S+) \{/.exec(line)?.[1] ?? chain;
    if (/^(?:ip|ip6|inet) kube-proxy$/.test(table)) {
      reading.hasNftProxy = true;
      reading.hasProxyChains = true;
    }
    readNftRule(table, chain, line.trim(), reading);
  };
}

function readNftRule(table: string, chain: string, line: string, reading: Reading): void {
  // Texts in it are comments and names, but for what iptables alone knows: xt target "NFQUEUE".
  const rule = line.replaceAll(/(?<!xt target )"[^"]*"/g, "");
  if (chain === "KUBE-SERVICES") reading.hasProxyChains = true;
  if (/\bjump KUBE-SVC-/.test(rule)) reading.hasServices = true;
  if (/\bqueue\b|"NFQUEUE"/.test(rule)) reading.hasQueue = true;
  if (/\bmasquerade\b(?!-)/.test(rule) && !/-for-masquerade|fully-random|^chain /.test(rule))
    noteOrdered(rule, reading);
  if (/\b[ds]port (?:(?:53|domain)\b|\{[^}]*\b(?:53|domain)\b[^}]*\})/.test(rule))
    readNftDnsRule(table, chain, rule, reading);
}

/** A rule for port 53. */
function readNftDnsRule(table: string, chain: string, rule: string, reading: Reading): void {
  if (/\bkube-proxy$| nodens(?:_\S*)?$/.test(table)) return;
  const to = /\bip6? daddr ([\da-f.:]+)/.exec(rule)?.[1] ?? "";
  if (chain === "KUBE-SERVICES" && to !== "" && rule.includes(" jump KUBE-SVC-")) reading.unnamed.add(to);
  if (chain.startsWith("KUBE-")) return;
  if (tableOfIptables.test(table) && /\bnotrack\b/.test(rule)) {
    if (to !== "") reading.untracked.add(to);
    return;
  }
  const does = /\b(?:dnat|redirect|tproxy|daddr set)\b|"(?:DNAT|REDIRECT|TPROXY)"/.test(rule)
    ? "redirects"
    : /\b(?:drop|reject)\b|"REJECT"/.test(rule)
      ? "drops"
      : "passes";
  noteOther({ place: `table ${table}`, does, text: rule }, reading);
}

function noteOrdered(rule: string, reading: Reading): void {
  if (reading.orderedMasquerades === 0) reading.firstOrderedMasquerade = rule.trim();
  reading.orderedMasquerades += 1;
}

function noteOther(rule: OtherRule, { others }: Reading): void {
  const isKnown = others.some(({ place, does }) => place === rule.place && does === rule.does);
  if (!isKnown && others.length < mostOthers) others.push(rule);
}

/** The Services of kube-proxy in its mode nftables: "10.96.0.10 . udp . 53 : goto service-…-kube-system/kube-dns/udp/dns". */
async function readServices(family: string, eachLine: NodeView["eachLine"], reading: Reading): Promise<void> {
  await eachLine("nft", ["list", "map", family, "kube-proxy", "service-ips"], (line) => {
    for (const [, address = "", name = ""] of line.matchAll(/([\da-f.:]+) \. (?:udp|tcp) \. 53 : goto (\S+)/g))
      (/kube-system\/[\w-]*dns/.test(name) ? reading.named : reading.unnamed).add(address);
  });
}

/** A Service of IPVS: "UDP  0A60000A:0035 rr". */
const ipvsForm = /^(?:TCP|UDP|SCTP) +(?:([\dA-F]{8})|\[([\da-f:]+)\]):([\dA-F]{4}) /;
const dnsPortHex = "0035";

function fromHex(ipv4: string): string {
  return [0, 2, 4, 6].map((at) => Number.parseInt(ipv4.slice(at, at + 2), 16)).join(".");
}

/** An IPv6 address in its usual form. */
function shortened(address: string): string {
  return isIPv6(address) ? new URL(`http://[${address}]`).hostname.slice(1, -1) : address;
}
