/*
 * The node itself: kernel, connection tracking, receive queues, CPU, the search list.
 */
import { parseResolvConf } from "../settings/resolv-conf.ts";
import type { Finding } from "./finding.ts";
import { type Counted, grownBetween, type Look, type NodeView } from "./node-view.ts";
import { noNodeNamespace } from "./node-namespace.ts";
import type { NodeRules } from "./read-rules.ts";

/** Versions of Linux in which something about DNS changed, and whether that matters here. `mode` is that of the nodens that runs here, if any. */
export function checkKernel({ kernelRelease }: NodeView, { hasQueue }: NodeRules, mode: string | undefined): Finding {
  const [major = 0, minor = 0] = kernelRelease.split(/[.-]/).map(Number);
  const isBefore = (ofMajor: number, ofMinor: number) => major < ofMajor || (major === ofMajor && minor < ofMinor);
  const base = { check: "kernel", link: "why-timeouts.md#1-the-race" };
  if (isBefore(5, 6)) {
    return {
      ...base,
      state: "warn",
      found: `Linux ${kernelRelease}: of two packets of one socket that race in connection tracking, one is dropped (mended in 5.6)`,
      why: "glibc and musl send A and AAAA from one socket at once; the one that is lost costs 5 s or 2.5 s",
      cure: [
        "update the kernel, or keep DNS out of connection tracking: nodens in host-ip, link-local or intercept mode",
      ],
    };
  }
  if (isBefore(5, 12) && mode === "intercept") {
    return {
      check: "kernel",
      state: "bad",
      found: `Linux ${kernelRelease}: nft tables have no owner (since 5.12), and attach.mode is intercept`,
      why: "rules that intercept must vanish with nodens, so without an owner nothing is intercepted",
      cure: ["attach.mode: link-local or host-ip, or a newer kernel"],
      link: "install.md#choose-a-mode",
    };
  }
  if (isBefore(6, 12) && hasQueue) {
    return {
      ...base,
      state: "warn",
      found: `Linux ${kernelRelease}: a rule hands packets to a program (NFQUEUE), and of two that race there one is dropped (mended in 6.12)`,
      why: "glibc and musl send A and AAAA from one socket at once, and a network policy agent looks at both",
      cure: ["update the kernel, or keep DNS out of the agent's queue: accept UDP port 53 before its rule"],
    };
  }
  const notes = [
    ...(isBefore(5, 12) ? ["attach.mode intercept needs 5.12"] : []),
    ...(isBefore(6, 12) ? ["before 6.12 packets race where a rule has NFQUEUE, which none has here"] : []),
  ];
  return { ...base, state: "ok", found: [`Linux ${kernelRelease}`, ...notes].join("; ") };
}

/** The fill of the connection table, and what it lost between two looks. */
export function checkConntrack(before: Look, now: Look, isNode: boolean, overSeconds: number): Finding[] {
  const link = "why-timeouts.md#2-a-port-and-an-entry-for-every-lookup";
  if (!isNode) return [{ check: "conntrack", state: "unknown", found: noNodeNamespace }];
  const [first, last] = [before.conntrack, now.conntrack];
  if (first === undefined || last === undefined) {
    return now.isTracking
      ? [{ check: "conntrack", state: "unknown", found: "/proc/net/stat/nf_conntrack cannot be read: it is for root" }]
      : [{ check: "conntrack", state: "ok", found: "nothing is tracked here" }];
  }
  const share = last.limit === 0 ? 0 : last.entries / last.limit;
  const fill: Finding = {
    check: "conntrack-fill",
    state: share > 0.95 ? "bad" : share > 0.75 ? "warn" : "ok",
    found: `${last.entries} of ${last.limit} entries (${Math.round(share * 100)} %)`,
    ...(share > 0.75 && {
      why: "a full table drops packets of new connections, and throws out the entries of lookups first",
      cure: ["sysctl -w net.netfilter.nf_conntrack_max=" + last.limit * 2],
      link,
    }),
  };
  const grown = {
    drop: last.drop - first.drop,
    insert_failed: last.insertFailed - first.insertFailed,
    early_drop: last.earlyDrop - first.earlyDrop,
  };
  const worst = Object.entries(grown).filter(([, by]) => by > 0);
  const losses: Finding = {
    check: "conntrack-drops",
    state: grown.drop > 0 || grown.early_drop > 0 ? "bad" : worst.length > 0 ? "warn" : "ok",
    found: `${worst.length === 0 ? "nothing was dropped" : worst.map(([name, by]) => `${name} +${by}`).join(", ")} in ${overSeconds} s`,
    ...(worst.length > 0 && {
      why: "each of these is a packet that somebody waits for: a lookup that loses one takes 2.5 to 5 s",
      cure: ["keep DNS out of connection tracking: nodens in host-ip, link-local or intercept mode"],
      link,
    }),
  };
  return [fill, losses];
}

/** Full receive queues, and CPU that was held back: of this process, and of DNS servers in pods of this node. */
export function checkHost(before: Look, now: Look, overSeconds: number): Finding[] {
  return [checkReceiveDrops(before, now, overSeconds), checkThrottling(before, now, overSeconds)];
}

function checkReceiveDrops(before: Look, now: Look, overSeconds: number): Finding {
  const check = "receive-drops";
  if (now.receiveDrops.length === 0) return { check, state: "unknown", found: "/proc/net/snmp cannot be read" };
  const grown = grownBetween(before.receiveDrops, now.receiveDrops);
  if (grown.length === 0)
    return { check, state: "ok", found: `no datagram was dropped from a full receive queue in ${overSeconds} s` };
  return {
    check,
    state: "bad",
    found: `datagrams dropped from full receive queues in ${overSeconds} s: ${listOf(grown)}`,
    why: "a query that is dropped there was never seen by the program that should answer it",
    cure: [
      "give that program more CPU, or more replicas; sysctl -w net.core.rmem_max=8388608 lets it ask for a longer queue",
    ],
    link: grown.some(({ who }) => who.startsWith("coredns"))
      ? "why-timeouts.md#6-coredns-or-what-is-behind-it"
      : "runbook.md#nodensudpdrops",
  };
}

function checkThrottling(before: Look, now: Look, overSeconds: number): Finding {
  const check = "cpu-throttling";
  if (!now.hasControlGroups) return { check, state: "unknown", found: "/sys/fs/cgroup cannot be read" };
  if (now.throttled.length === 0)
    return { check, state: "ok", found: "no CPU limit on this process or on a DNS server that is seen here" };
  const grown = grownBetween(before.throttled, now.throttled);
  const seen = now.throttled.map(({ who }) => who).join(", ");
  if (grown.length === 0) return { check, state: "ok", found: `nobody was held back in ${overSeconds} s: ${seen}` };
  return {
    check,
    state: "warn",
    found: `periods in which CPU was held back in ${overSeconds} s: ${listOf(grown)}`,
    why: "while its CPU is held back, a DNS server answers nobody",
    cure: ["raise or remove resources.limits.cpu of that container"],
    link: "runbook.md#nodenseventloopdelay",
  };
}

function listOf(grown: readonly Counted[]): string {
  return grown.map(({ who, count }) => `${who} +${count}`).join(", ");
}

/** The node's own resolv.conf: pods with dnsPolicy Default have it, and kubelet adds its suffixes to every pod's list. */
export function checkSearchList({ readFile }: NodeView): Finding {
  const check = "search-list";
  const text = readFile("/etc/resolv.conf");
  if (text === undefined) return { check, state: "unknown", found: "/etc/resolv.conf cannot be read" };
  const { search, options } = parseResolvConf(text, "/etc/resolv.conf");
  const own = search.filter((suffix) => !/(^|\.)svc\.|^cluster\.local$/.test(suffix));
  const queries = 2 * (3 + own.length + 1);
  const found = `${own.length === 0 ? "no suffix" : own.join(", ")} beside the cluster's: ${queries} queries for one outside name with ndots:5 (here ndots:${options.ndots})`;
  if (own.length === 0) return { check, state: "ok", found };
  return {
    check,
    state: "warn",
    found,
    why: "kubelet copies the node's suffixes into every pod's list, and each is tried, for A and AAAA, before the name itself",
    cure: ["remove the suffix from the node's resolv.conf, or give kubelet another file with resolvConf"],
    link: "why-timeouts.md#3-eight-queries-for-one-name",
  };
}
