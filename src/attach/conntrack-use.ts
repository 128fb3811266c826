/*
 * Whether the node tracks connections: with kube-proxy always, with some other networks never.
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
