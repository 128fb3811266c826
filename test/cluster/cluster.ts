/*
 * A cluster on this machine, from the programs that this project compiles: a world of namespaces with the control plane, nodes in
 * namespaces within it, kube-dns as kubeadm installs it. Nothing outside is touched, and nothing stays when the program that made the
 * cluster ends, however it ends (clean-up.sh).
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { serverUrl } from "./addresses.ts";
import { makeAuthority } from "./certificates.ts";
import { type ControlPlane, startControlPlane } from "./control-plane.ts";
import { buildKeeper, buildSmallImages } from "./images.ts";
import { type ClusterNode, startNode } from "./node.ts";
import type { ProxyMode } from "./node-setup.ts";
import { makePlace, type Output, type Place, runIn, tryIn, waitFor } from "./places.ts";
import { buildPrograms, type Programs } from "./programs.ts";
import { cgroupHierarchies } from "../support/program/cgroups.ts";
import { renderers } from "../support/manifests/manifests-tools.ts";
import type { Requirement } from "../support/program/requirements.ts";
import { projectFolder } from "../support/program/run-nodens.ts";

/** What a machine needs to run one. */
export const clusterRequirements: readonly Requirement[] = [
  "root",
  "cgroups",
  "go",
  "gcc",
  "musl-gcc",
  "openssl",
  "unshare",
  "nsenter",
  "runc",
  "/usr/lib/cni/ptp",
  "nft",
  "iptables",
  "ip",
  "conntrack",
  "dig",
  "buildah",
  "debootstrap",
  "curl",
  "iptables-restore",
  "prometheus-with-pods",
  ...renderers,
];

/** What cluster. */
export interface ClusterOptions {
  readonly proxyMode: ProxyMode;
  readonly nodeCount?: number;
  /** Is told what is going on. */
  readonly print?: (line: string) => void;
}

/** A cluster that runs. */
export interface Cluster {
  /** Everything that it keeps, its logs among it. */
  readonly folder: string;
  readonly world: Place;
  readonly programs: Programs;
  readonly controlPlane: ControlPlane;
  readonly nodes: readonly ClusterNode[];
  /** Runs kubectl as somebody who may do everything, and returns what it prints. Throws with what it complains of. */
  kubectl(args: readonly string[], input?: string): Promise<string>;
  /** The same, with what it warns of. Throws only when it cannot be started. */
  tryKubectl(args: readonly string[]): Promise<Output>;
  /** Removes everything, and resolves when it is gone. */
  close(): Promise<void>;
  /** Lets it outlive this program. `removeCluster` removes it then. */
  keep(): Promise<void>;
}

/** Makes one, and resolves when its nodes are ready and kube-dns answers. What a failed start leaves is removed. */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const { print = () => {}, nodeCount = 1, proxyMode } = options;
  const programs = await buildPrograms(print);
  const keeper = await buildKeeper();
  const images = await buildSmallImages(programs, print);
  const folder = mkdtempSync(join(tmpdir(), "nodens-cluster-"));
  const cgroup = basename(folder);
  const cleaner = startCleaner(folder, keeper);
  const close = () => closeCleaner(cleaner, "");
  try {
    print("starting the control plane");
    const world = await makePlace(keeper);
    writeFileSync(join(folder, "keeper"), String(world.keeperPid));
    makeCgroups(cgroup, nodeCount);
    const authority = await makeAuthority(join(folder, "keys"), serverUrl);
    const controlPlane = await startControlPlane(world, folder, programs, authority);
    const admin = [programs.paths["kubectl"] ?? "kubectl", "--kubeconfig", controlPlane.adminKubeconfig];
    const kubectl = (args: readonly string[], input?: string) =>
      runIn(world, [...admin, ...args], input === undefined ? {} : { input });
    const tryKubectl = (args: readonly string[]) => tryIn(world, [...admin, ...args]);
    print(nodeCount === 1 ? "starting the node" : `starting ${nodeCount} nodes`);
    const parts = { world, keeper, programs, authority, folder, cgroup, nodeCount, proxyMode };
    const nodes = await Promise.all(Array.from({ length: nodeCount }, (_, index) => startNode(parts, index + 1)));
    await Promise.all(nodes.map((node) => importImages(node, images)));
    await kubectl(["apply", "-f", join(projectFolder, "test", "fixtures", "cluster", "kube-dns.yaml")]);
    await waitFor("the nodes are ready", () => areReady(nodes, kubectl), 120_000);
    await kubectl(["-n", "kube-system", "rollout", "status", "deployment/coredns", "--timeout=120s"]);
    const cluster = {
      folder,
      world,
      programs,
      controlPlane,
      nodes,
      kubectl,
      tryKubectl,
      close,
      keep: () => closeCleaner(cleaner, "keep"),
    };
    writeFileSync(join(folder, "cluster.json"), JSON.stringify(describe(cluster)));
    return cluster;
  } catch (error) {
    const logs = tailOfLogs(folder);
    await close();
    throw new Error(`${error instanceof Error ? error.message : String(error)}\n${logs}`, { cause: error });
  }
}

async function importImages(node: ClusterNode, images: readonly string[]): Promise<void> {
  // One after the other: layers in archives have the same name, by which containerd locks them.
  for (const image of images) await node.importImage(image);
}

async function areReady(nodes: readonly ClusterNode[], kubectl: Cluster["kubectl"]): Promise<boolean> {
  const ended = nodes.map((node) => node.daemon("kubelet")).find((kubelet) => kubelet.hasEnded());
  if (ended !== undefined) throw new Error(`${ended.name} ended`);
  const status = 'jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}';
  const ready = await kubectl(["get", "nodes", "-o", status]);
  return ready.split(" ").filter((each) => each === "True").length === nodes.length;
}

/** What another program must know of a cluster that was kept. */
export interface KeptCluster {
  readonly folder: string;
  readonly keeperPid: number;
  readonly kubectl: readonly string[];
  readonly ctr: string;
  readonly nodes: readonly { readonly name: string; readonly keeperPid: number }[];
}

function describe({ folder, world, controlPlane, programs, nodes }: Cluster): KeptCluster {
  return {
    folder,
    keeperPid: world.keeperPid,
    kubectl: [programs.paths["kubectl"] ?? "kubectl", "--kubeconfig", controlPlane.adminKubeconfig],
    ctr: programs.paths["ctr"] ?? "ctr",
    nodes: nodes.map(({ name, place }) => ({ name, keeperPid: place.keeperPid })),
  };
}

/** The clusters on this machine that outlived the program that made them. */
export function findKeptClusters(): KeptCluster[] {
  const files = readdirSync(tmpdir())
    .filter((name) => name.startsWith("nodens-cluster-"))
    .map((name) => join(tmpdir(), name, "cluster.json"));
  return files
    .filter((file) => existsSync(file) && existsSync(join(file, "..", "kept")))
    .map((file) => JSON.parse(readFileSync(file, "utf8")) as KeptCluster);
}

/** Removes a cluster that was kept. */
export async function removeCluster({ folder }: KeptCluster): Promise<void> {
  await closeCleaner(startCleaner(folder, await buildKeeper()), "");
}

function startCleaner(folder: string, keeper: string): ChildProcess {
  const script = join(import.meta.dirname, "clean-up.sh");
  const args = [script, folder, keeper, basename(folder)];
  // In a session of its own, where no Ctrl-C reaches it.
  return spawn("sh", args, { stdio: ["pipe", "ignore", "inherit"], detached: true });
}

async function closeCleaner(cleaner: ChildProcess, word: "" | "keep"): Promise<void> {
  if (cleaner.exitCode !== null) return;
  const ended = once(cleaner, "exit");
  cleaner.stdin?.end(word);
  await ended;
}

/** A cgroup of the cluster's own in each hierarchy, in which each node has one. */
function makeCgroups(cgroup: string, nodeCount: number): void {
  for (const { path, isUnified } of cgroupHierarchies()) {
    for (let index = 1; index <= nodeCount; index++) {
      mkdirSync(join(path, cgroup, `node${index}`), { recursive: true });
    }
    if (isUnified) enableControllers(path, cgroup);
    for (const [file, weight] of Object.entries(processorWeight)) {
      const whole = join(path, cgroup, file);
      if (existsSync(whole)) writeFileSync(whole, weight);
    }
  }
}

/**
 * Ten times what one process of the machine has, in both versions' words: all pods are in this cgroup, and where others keep the processors
 * busy they would look up late for want of one.
 */
const processorWeight: Readonly<Record<string, string>> = { "cpu.shares": "10240", "cpu.weight": "1000" };

function enableControllers(path: string, cgroup: string): void {
  const controllers = readFileSync(join(path, "cgroup.controllers"), "utf8").trim().split(" ");
  const all = controllers
    .filter((name) => name !== "")
    .map((name) => `+${name}`)
    .join(" ");
  for (const each of ["", cgroup]) appendFileSync(join(path, each, "cgroup.subtree_control"), all);
}

/** The last lines of what the programs of a cluster wrote, for somebody who wants to know why it did not start. */
function tailOfLogs(folder: string): string {
  const logs = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter(
    (name) => name.endsWith(".log") && !name.includes("/log/"),
  );
  return logs
    .map((name) => `--- ${name}\n${readFileSync(join(folder, name), "utf8").split("\n").slice(-15).join("\n")}`)
    .join("\n");
}
