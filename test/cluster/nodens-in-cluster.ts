/*
 * nodens in a cluster: its manifests and chart put there and taken away as the manual says, and its pods.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import type { Cluster } from "./cluster.ts";
import type { ClusterNode } from "./node.ts";
import { runIn, tryIn, waitFor } from "./places.ts";
import { projectFolder } from "../support/program/run-nodens.ts";

const namespace = "kube-system";
/** What all of nodens's pods are labelled with. */
export const nodensLabel = "app.kubernetes.io/name=nodens";

const ours = ["-n", namespace, "-l", nodensLabel];

/** What became of manifests. */
export interface Applied {
  /** What the API server warns of. */
  readonly warnings: readonly string[];
  /** Until every node's pod was ready, and for as long as `minReadySeconds` says. */
  readonly rolledOutMs: number;
}

/**
 * Applies an overlay of deploy/overlays, with kube-dns's address as this cluster has it, and waits until it is rolled out. `settings` stand in
 * the place of the overlay's own.
 */
export async function applyOverlay(cluster: Cluster, overlay: string, settings?: string): Promise<Applied> {
  const began = performance.now();
  const apply = (folder: string) => kubectlWarnings(cluster, ["apply", "-k", folder]);
  const warnings = await withOverlay(overlay, apply, settings);
  await rollOut(cluster);
  return { warnings, rolledOutMs: performance.now() - began };
}

/** Deletes what an overlay made, and waits until its pods are gone. */
export async function deleteOverlay(cluster: Cluster, overlay: string, settings?: string): Promise<void> {
  await withOverlay(overlay, (folder) => cluster.kubectl(["delete", "-k", folder]), settings);
  await waitUntilGone(cluster);
}

/** Waits until nodens has no pod any more. */
export async function waitUntilGone(cluster: Cluster): Promise<void> {
  await waitFor(
    "nodens's pods are gone",
    async () => (await cluster.kubectl(["get", "pods", ...ours, "-o", "name"])) === "",
  );
}

/** Waits until every pod of nodens that was deleted has ended: the last of an update goes on answering for a while. */
export async function waitUntilNoneEnds(cluster: Cluster): Promise<void> {
  const path = "jsonpath={.items[*].metadata.deletionTimestamp}";
  await waitFor("no pod of nodens is ending", async () => {
    return (await cluster.kubectl(["get", "pods", ...ours, "-o", path])) === "";
  });
}

/** A kustomization over an overlay, as the manual tells operators to write it. */
async function withOverlay<T>(overlay: string, use: (folder: string) => Promise<T>, settings?: string): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "nodens-overlay-"));
  const files = settings === undefined ? [] : ["nodens.yaml"];
  if (settings !== undefined) writeFileSync(join(folder, "nodens.yaml"), settings);
  const kustomization = {
    apiVersion: "kustomize.config.k8s.io/v1beta1",
    kind: "Kustomization",
    resources: [relative(folder, join(projectFolder, "deploy", "overlays", overlay))],
    configMapGenerator: [{ name: "nodens", behavior: "merge", files, literals: ["KUBE_DNS_IP=10.96.0.10"] }],
  };
  // JSON is YAML.
  writeFileSync(join(folder, "kustomization.yaml"), JSON.stringify(kustomization));
  try {
    return await use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function kubectlWarnings(cluster: Cluster, args: readonly string[]): Promise<string[]> {
  const { code, stderr } = await cluster.tryKubectl(args);
  if (code !== 0) throw new Error(stderr);
  return stderr.split("\n").filter((line) => line !== "");
}

/** Waits for the DaemonSet. */
export async function rollOut(cluster: Cluster): Promise<void> {
  await cluster.kubectl(["-n", namespace, "rollout", "status", "daemonset/nodens", "--timeout=120s"]);
}

/**
 * Makes new pods of the same kind, node by node; not sooner than 7 s after a pod became ready. The controller of DaemonSets looks again
 * `minReadySeconds` and one second after a pod has become ready, and once for all that do so meanwhile: of the later ones it
 * would never learn that they are available.
 */
export async function restartNodens(cluster: Cluster): Promise<void> {
  const path = 'jsonpath={.items[*].status.conditions[?(@.type=="Ready")].lastTransitionTime}';
  await waitFor("no pod of nodens has just become ready", async () => {
    const moments = (await cluster.kubectl(["get", "pods", ...ours, "-o", path])).split(" ");
    return moments.every((moment) => Date.now() - Date.parse(moment) > 7000);
  });
  await cluster.kubectl(["-n", namespace, "rollout", "restart", "daemonset/nodens"]);
  await rollOut(cluster);
}

/** A pod of nodens. */
export interface NodensPod {
  readonly name: string;
  /** "" until it has been given to a node. */
  readonly nodeName: string;
  /** Of the pod network, or the node's. */
  readonly address: string;
  readonly containerId: string;
  readonly restarts: number;
  readonly isReady: boolean;
}

interface PodList {
  readonly items: readonly {
    readonly metadata: { readonly name: string; readonly deletionTimestamp?: string };
    readonly spec: { readonly nodeName?: string };
    readonly status: {
      readonly podIP?: string;
      readonly containerStatuses?: readonly {
        readonly containerID?: string;
        readonly restartCount: number;
        readonly ready: boolean;
      }[];
    };
  }[];
}

/** The pods of nodens on a node that nobody has deleted, the newest first. */
export async function podsOf(cluster: Cluster, node: ClusterNode): Promise<NodensPod[]> {
  return (await allPods(cluster)).filter(({ nodeName }) => nodeName === node.name);
}

/** Those of all nodes, as they are at one moment. */
export async function allPods(cluster: Cluster): Promise<NodensPod[]> {
  const sorted = "--sort-by=.metadata.creationTimestamp";
  const list = JSON.parse(await cluster.kubectl(["get", "pods", ...ours, sorted, "-o", "json"])) as PodList;
  return list.items
    .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
    .map(({ metadata, spec, status }) => ({
      name: metadata.name,
      nodeName: spec.nodeName ?? "",
      address: status.podIP ?? "",
      containerId: status.containerStatuses?.[0]?.containerID ?? "",
      restarts: status.containerStatuses?.[0]?.restartCount ?? 0,
      isReady: status.containerStatuses?.[0]?.ready ?? false,
    }))
    .toReversed();
}

/** Deletes the pod on a node, and waits until another has come in its place, whose container has not been restarted. */
export async function deletePodOf(cluster: Cluster, node: ClusterNode): Promise<void> {
  const [old] = await podsOf(cluster, node);
  await cluster.kubectl(["-n", namespace, "delete", "pod", old?.name ?? ""]);
  await waitFor("there is another pod of nodens", async () => {
    const [pod] = await podsOf(cluster, node);
    return pod !== undefined && pod.name !== old?.name && pod.isReady;
  });
  await rollOut(cluster);
}

/** The node's number of the process of the only pod of nodens there. */
export async function nodensPid(cluster: Cluster, node: ClusterNode): Promise<number> {
  const [pod] = await podsOf(cluster, node);
  if (pod === undefined) throw new Error(`no pod of nodens on ${node.name}`);
  return node.containerPid(pod.containerId);
}

/** Waits until a node's only pod of nodens is ready, and has been started again more often than before. */
export async function waitForRestart(cluster: Cluster, node: ClusterNode, before: number): Promise<void> {
  await waitFor("nodens is ready again", async () => {
    const [pod] = await podsOf(cluster, node);
    return pod !== undefined && pod.isReady && pod.restarts > before;
  });
}

/**
 * What kubelet says of probes of nodens's pods that failed since a moment (ms since 1970). One that was cut off with its container, at its
 * end, is none: kubelet says of it "errored".
 */
export async function failedProbes(cluster: Cluster, sinceMs: number): Promise<string[]> {
  interface Event {
    readonly involvedObject: { readonly name: string };
    readonly lastTimestamp: string | null;
    readonly message: string;
  }
  const args = ["-n", namespace, "get", "events", "--field-selector=reason=Unhealthy", "-o", "json"];
  const { items } = JSON.parse(await cluster.kubectl(args)) as { items: readonly Event[] };
  return items
    .filter(({ involvedObject, message }) => involvedObject.name.startsWith("nodens-") && / probe failed/.test(message))
    .filter(({ lastTimestamp }) => Date.parse(lastTimestamp ?? "") >= sinceMs)
    .map(({ involvedObject, message }) => `${involvedObject.name}: ${message}`);
}

/** What a node's kubelet counts as nodens's memory that cannot be given back, in bytes. 0 before it has looked. */
export async function workingSetBytes(cluster: Cluster, node: ClusterNode): Promise<number> {
  interface Summary {
    readonly pods: readonly {
      readonly podRef: { readonly name: string };
      readonly containers: readonly { readonly memory?: { readonly workingSetBytes?: number } }[];
    }[];
  }
  const path = `/api/v1/nodes/${node.name}/proxy/stats/summary`;
  const { pods } = JSON.parse(await cluster.kubectl(["get", "--raw", path])) as Summary;
  const [own] = await podsOf(cluster, node);
  return pods.find(({ podRef }) => podRef.name === own?.name)?.containers[0]?.memory?.workingSetBytes ?? 0;
}

/** A metric without labels of a node's nodens, or the first of its series that has `label` in it. */
export async function nodensMetric(node: ClusterNode, name: string, label = ""): Promise<number | undefined> {
  const { stdout } = await tryIn(node.place, ["curl", "-sf", "--max-time", "2", `http://${node.address}:9253/metrics`]);
  const line = stdout.split("\n").find((each) => new RegExp(`^${name}[{ ]`).test(each) && each.includes(label));
  return line === undefined ? undefined : Number(line.split(" ").at(-1));
}

/** Runs the DaemonSet that the manual has for it, and returns what it says. */
export async function detachNodens(cluster: Cluster): Promise<string> {
  const manual = readFileSync(join(projectFolder, "docs", "install.md"), "utf8");
  const manifest = /```yaml\n([^`]*name: nodens-detach,[^`]*)```/.exec(manual)?.[1];
  if (manifest === undefined) throw new Error("docs/install.md has no DaemonSet that detaches");
  await cluster.kubectl(["apply", "-f", "-"], manifest);
  await cluster.kubectl(["-n", namespace, "rollout", "status", "daemonset/nodens-detach", "--timeout=60s"]);
  const said = await cluster.kubectl(["-n", namespace, "logs", "daemonset/nodens-detach", "-c", "detach"]);
  await cluster.kubectl(["-n", namespace, "delete", "daemonset", "nodens-detach"]);
  return said;
}

/** What of nodens is on a node, by its name: tables, and addresses on `lo`. */
export async function tracesOnNode(node: ClusterNode): Promise<string[]> {
  const tables = await runIn(node.place, ["nft", "list", "tables"]);
  const addresses = await runIn(node.place, ["ip", "-oneline", "address", "show", "dev", "lo"]);
  return [
    ...tables.split("\n").filter((line) => line.includes("nodens")),
    ...addresses.split("\n").filter((line) => line.includes("nodens") || line.includes("169.254.20.10")),
  ];
}
