/*
 * The node as the doctor sees it: files, programs, and what they said at the first of two looks. Handed in, so that a test can be any node.
 */
import type { EachLine, RunProgram } from "../attach/run-program.ts";
import { type ConntrackStats, readConntrackStats } from "../observe/conntrack-stats.ts";
import type { ReadSystemFile } from "../observe/receive-drops.ts";
import type { eachFileLine } from "../runtime/file-lines.ts";
import type { Process, ProcessesCalled, SocketOwners } from "../runtime/processes.ts";

/** The node, through this process's eyes. */
export interface NodeView {
  readonly readFile: ReadSystemFile;
  readonly run: RunProgram;
  /** For programs that list more than should be kept. */
  readonly eachLine: EachLine;
  /** For files that may be large. */
  readonly eachFileLine: typeof eachFileLine;
  readonly socketOwners: SocketOwners;
  readonly processesCalled: ProcessesCalled;
  /** As processes tell it of theirs. */
  readonly ownNetworkNamespace: string;
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
  /** Datagrams that were dropped from full receive queues, in this network namespace and in those of DNS servers on this node. */
  readonly receiveDrops: readonly Counted[];
  /** Periods in which a control group had to wait for CPU: this one, and those of DNS servers on this node. */
  readonly throttled: readonly Counted[];
  /** Whether control groups can be seen: one without a limit has no such count. */
  readonly hasControlGroups: boolean;
}

/** A count, and whose it is. */
export interface Counted {
  /** "coredns (process 4711)"; the same at both looks. */
  readonly who: string;
  readonly count: number;
}

/** Programs that answer DNS, and whose counters are their pods' own. */
const dnsPrograms = ["coredns", "nodens", "node-cache", "dnsmasq", "kube-dns"] as const;

/** More of them are not looked at: a node has one or two. */
const mostPrograms = 16;

/** There in the second version of control groups, or of the first. */
const controlGroupFiles = ["/sys/fs/cgroup/cpu.stat", "/sys/fs/cgroup/cpu/cpu.stat"] as const;

/** Reads the counters. */
export function lookAt(node: NodeView): Look {
  const { readFile } = node;
  const programs = node.processesCalled(dnsPrograms).slice(0, mostPrograms);
  return {
    conntrack: readConntrackStats(readFile),
    isTracking: readFile("/proc/sys/net/netfilter/nf_conntrack_count") !== undefined,
    receiveDrops: receiveDropsOf(node, programs),
    throttled: throttledOf(node, programs),
    hasControlGroups: controlGroupFiles.some((path) => readFile(path) !== undefined),
  };
}

/** Each network namespace once. */
function receiveDropsOf({ readFile, ownNetworkNamespace }: NodeView, programs: readonly Process[]): Counted[] {
  const known = new Set([ownNetworkNamespace, ""]);
  const others = programs.filter(({ networkNamespace }) => !known.has(networkNamespace) && known.add(networkNamespace));
  const own = countedIn(readFile("/proc/net/snmp"), "this network namespace");
  return [...own, ...others.flatMap((each) => countedIn(readFile(`/proc/${each.pid}/net/snmp`), nameOf(each)))];
}

/** The line of names and the line of values of Udp in /proc/net/snmp. */
function countedIn(text: string | undefined, who: string): Counted[] {
  const [names = [], values = []] = (text ?? "")
    .split("\n")
    .filter((line) => line.startsWith("Udp: "))
    .map((line) => line.split(" "));
  const at = names.indexOf("RcvbufErrors");
  return at < 0 ? [] : [{ who, count: Number(values[at]) }];
}

/** Control groups without a limit have no such count. */
function throttledOf({ readFile }: NodeView, programs: readonly Process[]): Counted[] {
  const own = [{ who: "this process", path: "/sys/fs/cgroup/cpu.stat" }];
  const others = programs.map((each) => ({
    who: nameOf(each),
    path: cpuStatOf(readFile(`/proc/${each.pid}/cgroup`) ?? ""),
  }));
  return [...own, ...others].flatMap(({ who, path }) => {
    const waited = /^nr_throttled (\d+)$/m.exec(readFile(path) ?? "")?.[1];
    return waited === undefined ? [] : [{ who, count: Number(waited) }];
  });
}

/** Where the counts of a process's control group are: "0::/kubepods/pod1", or "4:cpu,cpuacct:/kubepods/pod1" of the first version. */
function cpuStatOf(groups: string): string {
  // Machines with both versions have CPU in the first.
  const [, controllers, path = ""] = /^\d+:(cpu(?:,\w+)*):(\/.*)$/m.exec(groups) ?? [];
  if (controllers !== undefined) return `/sys/fs/cgroup/${controllers}${path}/cpu.stat`;
  return `/sys/fs/cgroup${/^0::(\/.*)$/m.exec(groups)?.[1] ?? ""}/cpu.stat`;
}

function nameOf({ program, pid }: Process): string {
  return `${program} (process ${pid})`;
}

/** By how much each count has grown between two looks, of those that have. */
export function grownBetween(before: readonly Counted[], now: readonly Counted[]): Counted[] {
  return now
    .map(({ who, count }) => ({ who, count: count - (before.find((each) => each.who === who)?.count ?? count) }))
    .filter(({ count }) => count > 0);
}
