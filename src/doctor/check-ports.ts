/*
 * How many entries of connection tracking, and so source ports, lookups take at each DNS server.
 */
import { isIPv6 } from "node:net";
import type { Finding } from "./finding.ts";
import type { NodeView } from "./node-view.ts";
import { noNodeNamespace } from "./node-namespace.ts";

/** The usual range of source ports, 32768 to 60999: so many are there from one address to one address and port. */
const usualPorts = 28_232;

const check = "ports";

/**
 * Counts the entries over UDP to port 53: a finding for each of the addresses, which are those of kube-dns, and for each other address where
 * ports are scarce.
 */
export async function checkPorts(
  node: NodeView,
  isNode: boolean,
  addresses: readonly string[],
): Promise<readonly Finding[]> {
  if (!isNode) return [{ check, state: "unknown", found: noNodeNamespace }];
  const used = await readEntries(node, addresses);
  if (used === undefined)
    return [
      {
        check,
        state: "unknown",
        found:
          "neither conntrack -L nor /proc/net/nf_conntrack can be read: NET_ADMIN or root is missing, or the program",
      },
    ];
  const known = new Set(addresses);
  const others = [...used].filter(([address, { most }]) => !known.has(address) && most.count > usualPorts * scarceFrom);
  return [...[...known].map((address) => [address, used.get(address)] as const), ...others].map(portsFinding);
}

/** By address; undefined where entries cannot be read. */
async function readEntries(
  { eachLine, eachFileLine }: NodeView,
  addresses: readonly string[],
): Promise<Map<string, Used> | undefined> {
  const used = new Map<string, Used>();
  const byPair = new Map<string, number>();
  const take = (line: string) => countEntry(line, used, byPair);
  const families = addresses.some((address) => isIPv6(address)) ? ["ipv4", "ipv6"] : ["ipv4"];
  const ended = await Promise.all(
    families.map((family) => eachLine("conntrack", ["-L", "-f", family, "-p", "udp", "--dport", "53"], take)),
  );
  if (ended.every(({ code }) => code === 0)) return used;
  used.clear();
  byPair.clear();
  // Most kernels list them too, with the family first: "ipv4     2 udp      17 29 src=…".
  const isListed = eachFileLine("/proc/net/nf_conntrack", (line) => {
    if (line.includes(" udp ")) take(line);
  });
  return isListed ? used : undefined;
}

/** The shares of the ports from which they are called scarce, and nearly out. */
const scarceFrom = 0.3;
const nearlyOutFrom = 0.8;

/** The entries to one address, and the most of them that share their ports: from one source, as it is translated, to one pod of kube-dns. */
interface Used {
  entries: number;
  most: { readonly source: string; readonly server: string; readonly count: number };
}

/** An entry has two directions: whom the client asked, and between whom the reply goes, which is behind the translation. */
const entryForm = /dst=(\S+) sport=\d+ dport=53 .*?src=(\S+) dst=(\S+)/;

/** More pairs of sources and servers are not told apart: a node has a few hundred pods, and kube-dns a few. */
const mostPairs = 16_384;

function countEntry(line: string, used: Map<string, Used>, byPair: Map<string, number>): void {
  const [, address = "", server = "", source = ""] = entryForm.exec(line) ?? [];
  if (address === "") return;
  const pair = `${address} ${source} ${server}`;
  const known = byPair.get(pair);
  if (known === undefined && byPair.size >= mostPairs) return;
  const count = (known ?? 0) + 1;
  byPair.set(pair, count);
  const before = used.get(address) ?? { entries: 0, most: { source, server, count: 0 } };
  used.set(address, {
    entries: before.entries + 1,
    most: count > before.most.count ? { source, server, count } : before.most,
  });
}

function portsFinding([address, used]: readonly [string, Used | undefined]): Finding {
  const to = isIPv6(address) ? `[${address}]:53` : `${address}:53`;
  if (used === undefined) return { check, state: "ok", found: `no entries of lookups to ${to}` };
  const { source, server, count } = used.most;
  const share = count / usualPorts;
  return {
    check,
    state: share > nearlyOutFrom ? "bad" : share > scarceFrom ? "warn" : "ok",
    found: `${used.entries} entries to ${to}; most from ${source} to ${server}: ${count} of some ${usualPorts} ports`,
    ...(share > scarceFrom && {
      why: "every lookup of a pod takes an entry and a port for 30 s or more; when ports are scarce, packets are dropped",
      cure: ["let lookups end on the node: nodens keeps a handful of flows to kube-dns"],
      link: "why-timeouts.md#2-a-port-and-an-entry-for-every-lookup",
    }),
  };
}
