/*
 * What this node's kernel has in use: connection tracking (with kube-proxy always, with some other networks never), and IPv6.
 */
import { readFileSync } from "node:fs";

/** True when connection tracking has entries. A loaded module alone does not mean that it is in use: nftables loads it too. */
export function isTrackingInUse(): boolean {
  try {
    return Number(readFileSync("/proc/sys/net/netfilter/nf_conntrack_count", "utf8")) > 0;
  } catch {
    return false;
  }
}

/** False where IPv6 is switched off, or missing from the kernel. */
export function hasIpv6(): boolean {
  try {
    return readFileSync("/proc/sys/net/ipv6/conf/lo/disable_ipv6", "utf8").trim() === "0";
  } catch {
    return false;
  }
}
