/*
 * What rows stand on: a cluster with names and pods that look them up, and the words in which they say what they found.
 */
import { setTimeout as delay } from "node:timers/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect } from "vitest";
import { kubeDnsAddress, plainDnsAddress } from "./addresses.ts";
import { type Cluster, startCluster } from "./cluster.ts";
import { buildNodensImage } from "./images.ts";
import { endLoad, libraries, type Load, type LoadFigures, startLoad } from "./load.ts";
import { enterPod, type PodNetwork } from "./lookups.ts";
import type { ClusterNode } from "./node.ts";
import type { ProxyMode } from "./node-setup.ts";
import { inWords, type Report, startReport, type Way } from "./report.ts";
import { runIn, waitFor } from "./places.ts";
import { type ProbeWatch, watchProbes } from "./probes.ts";
import { projectFolder } from "../support/program/run-nodens.ts";

/** A cluster with what rows need. */
export interface Bed {
  readonly cluster: Cluster;
  /** The node that load and nodens are looked at on. */
  readonly node: ClusterNode;
  readonly proxyMode: ProxyMode;
  readonly report: Report;
  readonly probes: ProbeWatch;
  /** Pods that ask what kubelet tells them to: kube-dns. */
  readonly load: Load;
  /** The network of one of them. */
  readonly pod: PodNetwork;
}

/**
 * How many of a load's lookups may be harmed, beside one of a thousand that may be late on a machine that does other things too, and as
 * many as plain kube-dns loses meanwhile.
 */
export interface Budget {
  readonly failed: number;
  readonly late: number;
}

/** Starts one, with the image of the working tree on its nodes but no nodens yet. Close its cluster at the end. */
export async function startBed(proxyMode: ProxyMode, nodeCount = 1): Promise<Bed> {
  const print = (line: string) => void process.stderr.write(`${proxyMode}: ${line}\n`);
  const image = await buildNodensImage(print);
  const cluster = await startCluster({ proxyMode, nodeCount, print });
  try {
    const [node] = cluster.nodes;
    if (node === undefined) throw new Error("a cluster without nodes");
    const probes = watchProbes(cluster);
    await Promise.all(cluster.nodes.map((each) => each.importImage(image)));
    await cluster.kubectl(["apply", "-f", join(projectFolder, "test", "fixtures", "cluster", "names.yaml")]);
    const load = await startLoad(cluster, { name: "load" });
    const pod = await enterPod(cluster, node, "shop", load.podName("glibc"));
    return { cluster, node, proxyMode, report: startReport(proxyMode, nodeCount), probes, load, pod };
  } catch (error) {
    await cluster.close();
    throw error;
  }
}

/** Something that is done under load. */
export interface UnderLoad {
  readonly what: string;
  readonly way: Way;
  readonly budget?: Budget;
  /** Pods that ask kube-dns meanwhile: what harms their lookups as well is not held against nodens. */
  readonly beside?: Load;
  /** Whether what they lose is added to the budget, which it is unless said otherwise. Not where nodens answers without kube-dns. */
  readonly addsPlain?: boolean;
  /** Whether it is a failure, of which probes tell rightly. */
  readonly isFailure?: boolean;
}

/** How long lookups are watched after it is done. */
const settleMs = 3000;

/** Does something under load, notes what became of the lookups, and fails when that is more than the budget. */
export async function underLoad(
  { report, probes }: Bed,
  load: Load,
  { what, way, budget, beside, addsPlain = true, isFailure = false }: UnderLoad,
  action: () => Promise<unknown>,
): Promise<LoadFigures> {
  const fromMs = Date.now();
  await (isFailure ? probes.mayFail(action) : action());
  await delay(settleMs);
  const toMs = Date.now();
  const [figures, plain] = await Promise.all([load.between(fromMs, toMs), beside?.between(fromMs, toMs)]);
  const found = inWords(figures, plain);
  report.note(what, way, found);
  if (budget !== undefined) {
    const { failed, late } = figures;
    const allowed = allowance(budget, figures, addsPlain ? plain : undefined);
    expect({ failed, late }, `${what}: ${found} ${figures.failedNames.slice(0, 4).join(", ")}`.trim()).toSatisfy(
      (harmed: Budget) => harmed.failed <= allowed.failed && harmed.late <= allowed.late,
    );
  }
  return figures;
}

/** A budget, with what plain kube-dns lost of as many lookups; for what is late, which is chance, with two standard deviations. */
function allowance(budget: Budget, { lookups }: LoadFigures, plain: LoadFigures | undefined): Budget {
  const share = plain === undefined || plain.lookups === 0 ? 0 : lookups / plain.lookups;
  const harmed = ((plain?.failed ?? 0) + (plain?.late ?? 0)) * share;
  return {
    failed: budget.failed + Math.ceil((plain?.failed ?? 0) * share),
    late: budget.late + Math.ceil(harmed + 2 * Math.sqrt(harmed) + lookups / 1000),
  };
}

/** Pods that ask kube-dns whatever overlay there is, from before a suite's tests until after them. No other suite has their `name`. */
export function plainLoad(bed: () => Bed, name: string): () => Load {
  let plain: Load | undefined;
  beforeAll(async () => {
    plain = await startLoad(bed().cluster, { name, nameserver: plainDnsAddress, perSecond: 20 });
  });
  afterAll(async () => {
    if (plain !== undefined) await endLoad(bed().cluster, plain);
  });
  return () => {
    if (plain === undefined) throw new Error("the plain load did not start");
    return plain;
  };
}

const kubeDns = ["-n", "kube-system", "deployment/coredns"];

/** Lets kube-dns have this many pods, and waits until they are ready, or gone. */
export async function scaleKubeDns({ cluster }: Bed, replicas: number): Promise<void> {
  await cluster.kubectl(["scale", ...kubeDns, `--replicas=${replicas}`]);
  await waitFor(`kube-dns has ${replicas} pods`, async () => {
    const pods = await kubeDnsPods(cluster);
    return pods.length === replicas && pods.every(({ isReady }) => isReady);
  });
}

/** Replaces kube-dns's pods as an update does. */
export async function rollOutKubeDns({ cluster }: Bed): Promise<void> {
  await cluster.kubectl(["rollout", "restart", ...kubeDns]);
  await cluster.kubectl(["rollout", "status", ...kubeDns, "--timeout=120s"]);
}

/** Deletes one of kube-dns's pods, and waits until another is ready in its place. */
export async function deleteKubeDnsPod(bed: Bed): Promise<void> {
  const pods = await kubeDnsPods(bed.cluster);
  await bed.cluster.kubectl(["-n", "kube-system", "delete", "pod", pods[0]?.name ?? ""]);
  await scaleKubeDns(bed, pods.length);
}

/** A pod of kube-dns. */
export interface KubeDnsPod {
  readonly name: string;
  readonly address: string;
  readonly isReady: boolean;
}

/** kube-dns's pods, those that are ending included. */
export async function kubeDnsPods(cluster: Cluster): Promise<KubeDnsPod[]> {
  interface Pod {
    readonly metadata: { readonly name: string };
    readonly status: {
      readonly podIP?: string;
      readonly conditions?: readonly { readonly type: string; readonly status: string }[];
    };
  }
  const text = await cluster.kubectl(["-n", "kube-system", "get", "pods", "-l", "k8s-app=kube-dns", "-o", "json"]);
  return (JSON.parse(text) as { items: Pod[] }).items.map(({ metadata, status }) => ({
    name: metadata.name,
    address: status.podIP ?? "",
    isReady: status.conditions?.some(({ type, status }) => type === "Ready" && status === "True") ?? false,
  }));
}

/** How many questions kube-dns's pods have had, those from each other and from the node included. */
export async function kubeDnsQuestions({ cluster, node }: Bed): Promise<number> {
  let sum = 0;
  for (const { address } of await kubeDnsPods(cluster)) {
    const page = await runIn(node.place, ["curl", "-sf", "--max-time", "2", `http://${address}:9153/metrics`]);
    for (const [, value] of page.matchAll(/^coredns_dns_requests_total\{.*\} (\S+)$/gm)) sum += Number(value);
  }
  return sum;
}

/** The addresses of a load's pods. */
export async function addressesOf({ kubectl }: Cluster, load: Load): Promise<string[]> {
  const pods = ["-n", "shop", "get", "pods", ...libraries.map((library) => load.podName(library))];
  return (await kubectl([...pods, "-o", "jsonpath={.items[*].status.podIP}"])).split(" ");
}

/** Entries that connection tracking makes for a load's questions within two seconds, over UDP and over TCP. */
export async function trackedQuestions({ cluster, node }: Bed, load: Load): Promise<number> {
  const addresses = await addressesOf(cluster, load);
  // What was tracked before may stay for minutes. conntrack says with 1 that there was nothing; and it gives up when an entry ends by
  // itself just before it is deleted, hence three times.
  const script = `
    for pod in "$@"; do for protocol in udp tcp; do for _ in 1 2 3; do
      conntrack -D -p $protocol --dport 53 -s $pod >/dev/null 2>&1
    done; done; done
    sleep 2
    for pod in "$@"; do for protocol in udp tcp; do conntrack -L -p $protocol --dport 53 -s $pod 2>/dev/null; done; done
    true`;
  const listed = await runIn(node.place, ["sh", "-c", script, "sh", ...addresses]);
  return listed.split("\n").filter((line) => line !== "").length;
}

/** The load's questions to kube-dns for each lookup, over ten seconds. */
export async function questionsPerLookup(bed: Bed, load: Load): Promise<number> {
  const before = await kubeDnsQuestions(bed);
  const fromMs = Date.now();
  await delay(10_000);
  const toMs = Date.now();
  const questions = (await kubeDnsQuestions(bed)) - before;
  return questions / (await load.between(fromMs, toMs)).lookups;
}

/** The address that pods ask in each way that overlays offer. */
export function serverOf(way: Way, node: ClusterNode): string {
  if (way === "link-local") return "169.254.20.10";
  return way === "host-ip" ? node.address : kubeDnsAddress;
}
