/*
 * What many lookups from many pods leave in the connection tracking of a bed's node.
 */
import { type BedHost, bedAddress, type NodeBed } from "./node-bed.ts";
import { lookUpInPod, writeResolvConf } from "./pod-lookups.ts";

/** What was looked up, what came of it, and what is left of it on the node. */
export interface FlowCount {
  readonly lookups: number;
  /** Lookups that found nothing. */
  readonly failed: number;
  /** Entries for DNS in the node's connection tracking, of both families: flows with port 53 on either side. */
  readonly entries: number;
  /** Those of them that began in a pod. */
  readonly entriesOfPods: number;
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
  const startedAtMs = performance.now();
  const outcome = await lookUp();
  const durationMs = performance.now() - startedAtMs;
  const entries = await listDnsFlows(bed);
  const podSources = bed.pods.flatMap(({ address, address6 }) => [`src=${address} `, `src=${address6} `]);
  const isOfPod = (entry: string) => podSources.some((source) => entry.includes(source));
  return { ...outcome, durationMs, entries: entries.length, entriesOfPods: entries.filter(isOfPod).length };
}

/** Lines of the node's connection tracking about DNS: to kube-dns, to nodens, and from either. */
async function listDnsFlows({ node }: NodeBed): Promise<string[]> {
  const lists = await Promise.all(["ipv4", "ipv6"].map((family) => node.run("conntrack", ["-L", "-f", family])));
  const isDns = (line: string) => / [sd]port=(?:53|10053) /.test(line) || line.includes(bedAddress.own);
  return lists.flatMap(({ stdout }) => stdout.split("\n")).filter(isDns);
}
