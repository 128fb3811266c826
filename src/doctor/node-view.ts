/*
 * The node as the doctor sees it: files, programs, and what they said at the first of two looks. Handed in, so that a test can be any node.
 */
import type { EachLine, RunProgram } from "../attach/run-program.ts";
import { type ConntrackStats, readConntrackStats } from "../observe/conntrack-stats.ts";
import type { ReadSystemFile } from "../observe/receive-drops.ts";
import type { SocketOwners } from "../runtime/socket-owners.ts";
import type { NodeRules } from "./read-rules.ts";

/** The node, through this process's eyes. */
export interface NodeView {
  readonly readFile: ReadSystemFile;
  readonly run: RunProgram;
  /** For programs that list more than should be kept. */
  readonly eachLine: EachLine;
  readonly socketOwners: SocketOwners;
  /** The kernel's release, "6.1.0-18-amd64". */
  readonly kernelRelease: string;
  /** Names of network interfaces in this process's network namespace. */
  readonly interfaces: readonly string[];
}

/** Counters that only mean something by their growth. */
export interface Look {
  readonly conntrack: ConntrackStats | undefined;
  /** Whether connections are tracked, although the counters may be for root only. */
  readonly isTracking: boolean;
  /** Datagrams that this network namespace dropped from full receive queues. */
  readonly receiveDrops: number | undefined;
  /** Periods in which this control group had to wait for CPU, of all periods. */
  readonly throttled: { readonly periods: number; readonly waited: number } | undefined;
}

/** Reads the counters. */
export function lookAt({ readFile }: NodeView): Look {
  return {
    conntrack: readConntrackStats(readFile),
    isTracking: readFile("/proc/sys/net/netfilter/nf_conntrack_count") !== undefined,
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

/**
 * Whether this looks like the node's own network namespace: kube-proxy's rules are in it, or IPVS, or the interface of a network plugin. Without
 * any of these it cannot be told.
 */
export function isNodeNamespace({ proxy, hasProxyChains }: NodeRules, { interfaces }: NodeView): boolean {
  const pluginInterface = /^(cilium_|cali|flannel|cni0|kube-ipvs0|ovn-k8s|antrea|weave|veth|lxc|nodelocaldns)/;
  return hasProxyChains || proxy !== undefined || interfaces.some((name) => pluginInterface.test(name));
}

/** What a finding says where it is not. */
export const noNodeNamespace = "not in the node's network namespace: run it with hostNetwork, or with nsenter -t 1 -n";
