/*
 * How many entries of connection tracking, and so source ports, lookups take at each DNS server.
 */
import type { Finding } from "./finding.ts";
import { noNodeNamespace, type NodeView } from "./node-view.ts";

/** The usual range of source ports, 32768 to 60999, for one address and port of a server. */
const usualPorts = 28_232;

/** Counts the entries to port 53 by the server's address. */
export async function checkPorts({ run }: NodeView, isNode: boolean): Promise<Finding> {
  const check = "ports";
  if (!isNode) return { check, state: "unknown", found: noNodeNamespace };
  const listed = await run("conntrack", ["-L", "-p", "udp", "--dport", "53"]);
  if (listed.code !== 0)
    return {
      check,
      state: "unknown",
      found: "conntrack -L cannot be run: NET_ADMIN is missing, or the program conntrack",
    };
  const counts = new Map<string, number>();
  for (const [, address = ""] of listed.stdout.matchAll(/dst=(\S+) sport=\d+ dport=53\b/g))
    counts.set(address, (counts.get(address) ?? 0) + 1);
  const [most] = [...counts].toSorted(([, one], [, other]) => other - one);
  if (most === undefined) return { check, state: "ok", found: "no entries of lookups" };
  const [address, count] = most;
  const share = count / usualPorts;
  return {
    check,
    state: share > 0.8 ? "bad" : share > 0.3 ? "warn" : "ok",
    found: `${count} entries to ${address}:53, of some ${usualPorts} source ports`,
    ...(share > 0.3 && {
      why: "every lookup of a pod takes an entry and a port for 30 s or more; when ports are scarce, packets are dropped",
      cure: ["let lookups end on the node: nodens keeps a handful of flows to kube-dns"],
      link: "why-timeouts.md#2-a-port-and-an-entry-for-every-lookup",
    }),
  };
}
