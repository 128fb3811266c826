/*
 * The node as the doctor sees it: files, programs, and what they said at the first of two looks. Handed in, so that a test can be any node.
 */
import type { RunProgram } from "../attach/run-program.ts";
import { type ConntrackStats, readConntrackStats } from "../observe/conntrack-stats.ts";
import type { ReadSystemFile } from "../observe/receive-drops.ts";

/** The node, through this process's eyes. */
export interface NodeView {
  readonly readFile: ReadSystemFile;
  readonly run: RunProgram;
  /** The kernel's release, "6.1.0-18-amd64". */
  readonly kernelRelease: string;
  /** Names of network interfaces in this process's network namespace. */
  readonly interfaces: readonly string[];
}

/** Counters that only mean something by their growth. */
export interface Look {
  readonly conntrack: ConntrackStats | undefined;
  /** Datagrams that this network namespace dropped from full receive queues. */
  readonly receiveDrops: number | undefined;
  /** Periods in which this control group had to wait for CPU, of all periods. */
  readonly throttled: { readonly periods: number; readonly waited: number } | undefined;
}

/** Reads the counters. */
export function lookAt({ readFile }: NodeView): Look {
  return {
    conntrack: readConntrackStats(readFile),
    receiveDrops: receiveDropsOf(readFile("/proc/net/snmp")),
    throttled: throttledOf(readFile("/sys/fs/cgroup/cpu.stat")),
  };
}

/** The line of names and the line of values of Udp in /proc/net/snmp. */
function receiveDropsOf(text: string | undefined): number | undefined {
  const [names = [], values = []] = (text ?? "")
    .split("\n")
    .filter((line) => line.startsWith("Udp: "))
    .map((line) => line.split(" "));
  const at = names.indexOf("RcvbufErrors");
  return at < 0 ? undefined : Number(values[at]);
}

function throttledOf(text: string | undefined): Look["throttled"] {
  const value = (name: string) => new RegExp(`^${name} (\\d+)$`, "m").exec(text ?? "")?.[1];
  const [periods, waited] = [value("nr_periods"), value("nr_throttled")];
  return periods === undefined || waited === undefined
    ? undefined
    : { periods: Number(periods), waited: Number(waited) };
}

/** What kube-proxy and others have put into this network namespace. */
export interface NodeRules {
  /** The NAT tables of IPv4 and IPv6 as iptables-save prints them; undefined if it cannot be read. */
  readonly nat: string | undefined;
  /** The ruleset as nft prints it; undefined if it cannot be read. */
  readonly nft: string | undefined;
  /** Whether IPVS has services. */
  readonly hasIpvs: boolean;
}

/** Reads the rules. */
export async function readRules({ run, readFile }: NodeView): Promise<NodeRules> {
  const [nat, nat6, nft] = await Promise.all([
    run("iptables-save", ["-t", "nat"]),
    run("ip6tables-save", ["-t", "nat"]),
    // Without the elements of sets, of which there may be many thousands.
    run("nft", ["-s", "-t", "list", "ruleset"]),
  ]);
  return {
    nat: nat.code === 0 ? `${nat.stdout}${nat6.code === 0 ? nat6.stdout : ""}` : undefined,
    nft: nft.code === 0 ? nft.stdout : undefined,
    hasIpvs: (readFile("/proc/net/ip_vs")?.trim().split("\n").length ?? 0) > 3,
  };
}

/**
 * Whether this looks like the node's own network namespace: kube-proxy's rules are in it, or IPVS, or the interface of a network plugin. Without
 * any of these it cannot be told.
 */
export function isNodeNamespace({ nat, nft, hasIpvs }: NodeRules, { interfaces }: NodeView): boolean {
  const pluginInterface = /^(cilium_|cali|flannel|cni0|kube-ipvs0|ovn-k8s|antrea|weave|veth|lxc)/;
  return (
    hasIpvs ||
    /KUBE-SERVICES/.test(nat ?? "") ||
    /table (ip|ip6|inet) kube-proxy/.test(nft ?? "") ||
    interfaces.some((name) => pluginInterface.test(name))
  );
}

/** What a finding says where it is not. */
export const noNodeNamespace = "not in the node's network namespace: run it with hostNetwork, or with nsenter -t 1 -n";

/** The addresses of the kube-dns Service that kube-proxy's rules name. */
export function kubeDnsAddresses({ nat, nft }: NodeRules): string[] {
  const inIptables = [
    ...(nat ?? "").matchAll(/-d ([\da-f.:]+)\/(?:32|128) .*"kube-system\/[\w-]*dns[\w-]*:dns cluster IP"/g),
  ];
  const inNft = [...(nft ?? "").matchAll(/([\da-f.:]+) \. (?:udp|tcp) \. 53\b/g)];
  return [...new Set([...inIptables, ...inNft].flatMap(([, address]) => address ?? []))];
}
