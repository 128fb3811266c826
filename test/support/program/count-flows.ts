/*
 * What many lookups from many pods leave in the connection tracking of a bed's node.
 */
import { type BedHost, bedAddress, type NodeBed } from "../node/node-bed.ts";
import { lookUpInPod, writeResolvConf } from "../node/pod-lookups.ts";

/** What was looked up, what came of it, and what is left of it on the node. */
export interface FlowCount {
  readonly lookups: number;
  /** Lookups that found nothing. */
  readonly failed: number;
  /** Datagrams with questions that pods sent. */
  readonly queries: number;
  /** Entries for DNS in the node's connection tracking, of both families: flows with port 53 on either side. */
  readonly entries: number;
  /** Those of them that began in a pod. */
  readonly entriesOfPods: number;
  /** Those of them that are translated: sent on to kube-dns from an address and a port of the node. */
  readonly translated: number;
  /** How many different ports of the node they take, over both transports and families. */
  readonly sourcePorts: number;
  readonly durationMs: number;
}

/** Service names and outside names, in the mix of an application that talks to both. */
const names = ["web", "api.ns2", "www.example.com", "cache.ns2", "baidu.com", "web", "dual", "www.baidu.com"];

/**
 * Divides `lookups` among the pods, which run one client each, all at once: the first client of `clients` in the first pod, the
 * second in the second, and so on in turn. Resolves with how many found nothing.
 */
export async function lookUpFromAllPods(
  pods: readonly BedHost[],
  clients: readonly string[],
  nameserver: string,
  lookups: number,
): Promise<{ readonly lookups: number; readonly failed: number }> {
  const each = Math.ceil(lookups / pods.length);
  const wanted = Array.from({ length: each }, (_, index) => names[index % names.length] ?? "web");
  const resolvConf = writeResolvConf(nameserver);
  try {
    const found = await Promise.all(
      pods.map((pod, index) => lookUpInPod(pod, clients[index % clients.length] ?? "", resolvConf, wanted)),
    );
    const lines = found.flat();
    return { lookups: lines.length, failed: lines.filter((line) => !line.startsWith("ok ")).length };
  } finally {
    resolvConf.remove();
  }
}

/** Empties the connection tracking, runs the lookups, and counts. */
export async function countFlows(
  bed: NodeBed,
  lookUp: () => Promise<{ readonly lookups: number; readonly failed: number }>,
): Promise<FlowCount> {
  await Promise.all(["ipv4", "ipv6"].map((family) => bed.node.run("conntrack", ["-F", "-f", family])));
  await countQueries(bed);
  const startedAtMs = performance.now();
  const outcome = await lookUp();
  const durationMs = performance.now() - startedAtMs;
  const flows = await listDnsFlows(bed);
  const podAddresses = new Set(bed.pods.flatMap(({ address, address6 }) => [address, address6]));
  // Where replies go: to the pod itself, or to the node, which sends them on.
  const translated = flows.filter(({ source, replyTo }) => podAddresses.has(source) !== podAddresses.has(replyTo));
  const ofNode = flows.filter(({ source }) => !podAddresses.has(source));
  const ports = [...translated, ...ofNode].map(({ protocol, replyTo, replyPort }) =>
    [protocol, replyTo, replyPort].join(),
  );
  return {
    ...outcome,
    queries: await readQueries(bed),
    durationMs,
    entries: flows.length,
    entriesOfPods: flows.length - ofNode.length,
    translated: translated.length + ofNode.length,
    sourcePorts: new Set(ports).size,
  };
}

/** An entry of connection tracking: who began, and where replies go to. */
export interface TrackedFlow {
  readonly protocol: string;
  readonly source: string;
  /** Where replies come from: the kube-dns pod that the flow is pinned to, or whoever was asked. */
  readonly replyFrom: string;
  readonly replyTo: string;
  readonly replyPort: string;
}

/** The node's connection tracking about DNS: to kube-dns, to nodens, and from either. */
export async function listDnsFlows({ node }: NodeBed): Promise<TrackedFlow[]> {
  const lists = await Promise.all(["ipv4", "ipv6"].map((family) => node.run("conntrack", ["-L", "-f", family])));
  const isDns = (line: string) => / [sd]port=(?:53|10053) /.test(line) || line.includes(bedAddress.own);
  return lists
    .flatMap(({ stdout }) => stdout.split("\n"))
    .filter(isDns)
    .map((line) => {
      const [protocol = ""] = line.split(" ");
      const [[, source = ""] = [], [, replyFrom = "", replyTo = "", replyPort = ""] = []] = [
        ...line.matchAll(/src=(\S+) dst=(\S+) sport=\d+ dport=(\d+)/g),
      ];
      return { protocol, source, replyFrom, replyTo, replyPort };
    });
}

/** A counter in front of every other rule. */
async function countQueries({ node }: NodeBed): Promise<void> {
  const rule = 'iifname "pod*" udp dport 53 counter';
  const chain = `chain c { type filter hook prerouting priority raw - 100; policy accept; ${rule}\n }`;
  const text = `table inet bed_queries\ndelete table inet bed_queries\ntable inet bed_queries { ${chain}\n }\n`;
  const { code, stderr } = await node.run("nft", ["-f", "-"], text);
  if (code !== 0) throw new Error(`cannot count queries: ${stderr}`);
}

async function readQueries({ node }: NodeBed): Promise<number> {
  const { stdout } = await node.run("nft", ["list", "table", "inet", "bed_queries"]);
  return Number(/counter packets (\d+)/.exec(stdout)?.[1]);
}
