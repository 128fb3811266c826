/*
 * A node: namespaces of its own, and in them containerd, kubelet and kube-proxy.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { nodeAddress, podRangeOf } from "./addresses.ts";
import type { Authority } from "./certificates.ts";
import { nodeSetup, type NodeFiles, type ProxyMode, writeNodeFiles } from "./node-setup.ts";
import { type Daemon, makePlace, type Place, runIn, startIn, waitFor } from "./places.ts";
import type { Programs } from "./programs.ts";

/** What every node of a cluster is made from. */
export interface NodeParts {
  readonly world: Place;
  /** The program that keeps namespaces. */
  readonly keeper: string;
  readonly programs: Programs;
  readonly authority: Authority;
  /** The cluster's folder. */
  readonly folder: string;
  /** The cluster's cgroup, from the root of each hierarchy. */
  readonly cgroup: string;
  /** How many nodes there are, which all know the way to each other's pods. */
  readonly nodeCount: number;
  readonly proxyMode: ProxyMode;
}

type PartName = "containerd" | "kubelet" | "kube-proxy";

/** A node that runs. */
export interface ClusterNode {
  readonly name: string;
  readonly address: string;
  readonly place: Place;
  /** The node's folder: logs of its parts, and of its pods in `log/pods`. */
  readonly folder: string;
  daemon(part: PartName): Daemon;
  /** Ends a part and starts it again. */
  restart(part: PartName): Promise<void>;
  /** Starts kube-proxy again in this mode. It removes what the other mode left. */
  setProxyMode(mode: ProxyMode): Promise<void>;
  /** Loads an image from an archive. */
  importImage(archive: string): Promise<void>;
  /** The node's number of the first process of a running container, by the id that Kubernetes shows ("containerd://…"). */
  containerPid(containerId: string): Promise<number>;
}

/** Makes the node with this number, counted from 1, and starts its parts. It is ready some seconds later. */
export async function startNode(parts: NodeParts, index: number): Promise<ClusterNode> {
  const name = `node${index}`;
  const folder = join(parts.folder, name);
  for (const each of ["kubelet", "containerd", "log/pods"]) mkdirSync(join(folder, each), { recursive: true });
  const place = await makePlace(parts.keeper, parts.world);
  await joinToWorld(parts.world, place, index);
  await runIn(place, ["sh", "-ec", nodeSetup(folder, index, parts.nodeCount)]);
  const files = await makeFiles(parts, name, index, folder);
  const env = { PATH: `${parts.programs.searchPath}:${process.env["PATH"] ?? ""}` };
  const ctr = [programIn(parts, "ctr"), "--namespace", "k8s.io"];
  let proxyMode = parts.proxyMode;

  function start(part: PartName): Daemon {
    const flags = { containerd: containerdFlags, kubelet: kubeletFlags, "kube-proxy": proxyFlags }[part];
    const command = [programIn(parts, part), ...flags(files, index, proxyMode)];
    return startIn(place, `${part} of ${name}`, command, join(folder, `${part}.log`), env);
  }

  const waitForContainerd = () =>
    waitFor(`containerd of ${name} answers`, async () => (await runIn(place, [...ctr, "version"])) !== "");

  const containerd = start("containerd");
  await waitForContainerd();
  // kubelet ends where there is no containerd.
  const daemons = { containerd, kubelet: start("kubelet"), "kube-proxy": start("kube-proxy") };

  async function restart(part: PartName): Promise<void> {
    await daemons[part].stop();
    daemons[part] = start(part);
    if (part === "containerd") await waitForContainerd();
  }

  return {
    name,
    address: nodeAddress(index),
    place,
    folder,
    daemon: (part) => daemons[part],
    restart,
    setProxyMode(mode) {
      proxyMode = mode;
      return restart("kube-proxy");
    },
    async importImage(archive) {
      await runIn(place, [...ctr, "images", "import", "--local", archive]);
    },
    async containerPid(containerId) {
      const id = containerId.replace("containerd://", "");
      const tasks = await runIn(place, [...ctr, "tasks", "list"]);
      const pid = new RegExp(`^${id}\\s+(\\d+)`, "m").exec(tasks)?.[1];
      if (pid === undefined) throw new Error(`${name} runs no container ${id}`);
      return Number(pid);
    },
  };
}

function programIn({ programs }: NodeParts, name: string): string {
  return programs.paths[name] ?? name;
}

async function joinToWorld(world: Place, place: Place, index: number): Promise<void> {
  const link = `node${index}`;
  const batch = [
    `link add ${link} type veth peer name eth0 netns ${place.keeperPid}`,
    `link set ${link} master lan`,
    `link set ${link} up`,
    `route add ${podRangeOf(index)} via ${nodeAddress(index)}`,
  ];
  // Only in the world's network: the keeper's number is the machine's.
  await runIn(world, ["ip", "-batch", "-"], { input: `${batch.join("\n")}\n`, namespaces: ["--net"] });
}

async function makeFiles(parts: NodeParts, name: string, index: number, folder: string): Promise<NodeFiles> {
  const { authority } = parts;
  return writeNodeFiles({
    folder,
    index,
    cgroup: `/${parts.cgroup}/${name}`,
    authority: authority.certificate,
    server: await authority.makeServer(`kubelet-${name}`, [name, nodeAddress(index)]),
    kubeletKubeconfig: await authority.makeKubeconfig(name, `system:node:${name}`, ["system:nodes"]),
    proxyKubeconfig: await authority.makeKubeconfig(`kube-proxy-${name}`, "system:kube-proxy"),
  });
}

function containerdFlags(files: NodeFiles): string[] {
  return [`--config=${files.containerd}`];
}

function kubeletFlags(files: NodeFiles, index: number): string[] {
  return [
    `--config=${files.kubelet}`,
    `--kubeconfig=${files.kubeletKubeconfig}`,
    `--hostname-override=node${index}`,
    `--node-ip=${nodeAddress(index)}`,
  ];
}

function proxyFlags(files: NodeFiles, _index: number, mode: ProxyMode): string[] {
  return [`--config=${files.proxy[mode]}`];
}
