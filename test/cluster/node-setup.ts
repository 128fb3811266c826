/*
 * What a node's namespaces hold before its parts start: folders, kernel settings, its link to the world; and the files that tell
 * containerd, kubelet and kube-proxy what they are.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { clusterDomain, kubeDnsAddress, nodeAddress, podRange, podRangeOf, worldAddress } from "./addresses.ts";
import type { KeyPair } from "./certificates.ts";
import { findCommand } from "../support/program/requirements.ts";
import { pauseImage } from "./images.ts";

/** How kube-proxy translates Services. */
export const proxyModes = ["iptables", "nftables"] as const;
export type ProxyMode = (typeof proxyModes)[number];

/**
 * Kernel settings that belong to the whole machine and that kubelet sets to these values. It reads a file of the node's instead,
 * which has them already.
 */
const machineSettings: Readonly<Record<string, number>> = {
  "vm/overcommit_memory": 1,
  "vm/panic_on_oom": 0,
  "kernel/panic": 10,
  "kernel/panic_on_oops": 1,
  "kernel/keys/root_maxkeys": 1_000_000,
  "kernel/keys/root_maxbytes": 25_000_000,
};

/** Shell that prepares a node from within its namespaces. `folder` is the machine's, and keeps what a node has on disk. */
export function nodeSetup(folder: string, index: number, nodeCount: number): string {
  const others = Array.from({ length: nodeCount }, (_, other) => other + 1).filter((other) => other !== index);
  return [
    // kubelet and containerd pass mounts on to pods.
    "mount --make-rshared /",
    "mount -t tmpfs tmpfs /run",
    "mount -t tmpfs tmpfs /var/lib",
    "mkdir /var/lib/kubelet /var/lib/containerd /var/lib/cni",
    `mount --bind ${folder}/kubelet /var/lib/kubelet`,
    `mount --bind ${folder}/containerd /var/lib/containerd`,
    `mount --bind ${folder}/log /var/log`,
    ...Object.entries(machineSettings).flatMap(([name, value]) => [
      `mkdir -p /run/kernel/$(dirname ${name})`,
      `echo ${value} >/run/kernel/${name}`,
      `mount --bind /run/kernel/${name} /proc/sys/${name}`,
    ]),
    `hostname node${index}`,
    "ip link set lo up",
    `ip addr add ${nodeAddress(index)}/16 dev eth0`,
    "ip link set eth0 up",
    `ip route add default via ${worldAddress}`,
    ...others.map((other) => `ip route add ${podRangeOf(other)} via ${nodeAddress(other)}`),
    "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1",
  ].join("\n");
}

/** Files of a node's parts, by the flags that name them. */
export interface NodeFiles {
  readonly containerd: string;
  readonly kubelet: string;
  readonly kubeletKubeconfig: string;
  readonly proxy: Readonly<Record<ProxyMode, string>>;
}

/** What these files are about. */
export interface NodeFacts {
  readonly folder: string;
  readonly index: number;
  /** The node's cgroup, from the root of each hierarchy. */
  readonly cgroup: string;
  /** The certificate of the cluster's authority. */
  readonly authority: string;
  readonly server: KeyPair;
  readonly kubeletKubeconfig: string;
  readonly proxyKubeconfig: string;
}

/** Writes them into the node's folder. */
export function writeNodeFiles(facts: NodeFacts): NodeFiles {
  const { folder } = facts;
  const write = (name: string, content: string | object): string => {
    const path = join(folder, name);
    // JSON is YAML.
    writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
    return path;
  };
  mkdirSync(join(folder, "cni"), { recursive: true });
  write("cni/10-pods.conflist", podNetwork(facts.index));
  write("resolv.conf", `nameserver ${worldAddress}\n`);
  return {
    containerd: write("containerd.toml", containerdSettings(folder)),
    kubelet: write("kubelet.yaml", kubeletSettings(facts)),
    kubeletKubeconfig: facts.kubeletKubeconfig,
    proxy: {
      iptables: write("kube-proxy-iptables.yaml", proxySettings(facts, "iptables")),
      nftables: write("kube-proxy-nftables.yaml", proxySettings(facts, "nftables")),
    },
  };
}

/** Each pod has a link of its own to the node, which is its gateway. */
function podNetwork(index: number): object {
  const range = podRangeOf(index);
  return {
    cniVersion: "1.0.0",
    name: "pods",
    plugins: [
      {
        type: "ptp",
        ipMasq: false,
        ipam: { type: "host-local", ranges: [[{ subnet: range }]], routes: [{ dst: "0.0.0.0/0" }] },
      },
      { type: "portmap", capabilities: { portMappings: true } },
    ],
  };
}

function containerdSettings(folder: string): string {
  return `
version = 3
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.nri.v1.nri"]

[grpc]
  address = "/run/containerd/containerd.sock"

[plugins."io.containerd.cri.v1.images"]
  snapshotter = "overlayfs"
  [plugins."io.containerd.cri.v1.images".pinned_images]
    sandbox = "${pauseImage}"

[plugins."io.containerd.cri.v1.runtime"]
  # Root without CAP_SYS_RESOURCE may not lower it.
  restrict_oom_score_adj = true
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = ["/usr/lib/cni"]
    conf_dir = "${folder}/cni"
  [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
      BinaryName = "${findCommand("runc") ?? "runc"}"
      SystemdCgroup = false
`;
}

function kubeletSettings({ folder, cgroup, authority, server }: NodeFacts): object {
  return {
    apiVersion: "kubelet.config.k8s.io/v1beta1",
    kind: "KubeletConfiguration",
    authentication: { anonymous: { enabled: false }, webhook: { enabled: true }, x509: { clientCAFile: authority } },
    authorization: { mode: "Webhook" },
    tlsCertFile: server.certificate,
    tlsPrivateKeyFile: server.key,
    containerRuntimeEndpoint: "unix:///run/containerd/containerd.sock",
    cgroupDriver: "cgroupfs",
    cgroupRoot: cgroup,
    failCgroupV1: false,
    failSwapOn: false,
    // The disk is the machine's, and others fill it.
    evictionHard: {
      "memory.available": "0%",
      "nodefs.available": "0%",
      "nodefs.inodesFree": "0%",
      "imagefs.available": "0%",
    },
    imageGCHighThresholdPercent: 100,
    clusterDNS: [kubeDnsAddress],
    clusterDomain,
    resolvConf: join(folder, "resolv.conf"),
  };
}

function proxySettings({ proxyKubeconfig, index }: NodeFacts, mode: ProxyMode): object {
  return {
    apiVersion: "kubeproxy.config.k8s.io/v1alpha1",
    kind: "KubeProxyConfiguration",
    mode,
    clusterCIDR: podRange,
    hostnameOverride: `node${index}`,
    clientConnection: { kubeconfig: proxyKubeconfig },
    // Limits of connection tracking belong to the whole machine.
    conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: "0s", tcpCloseWaitTimeout: "0s" },
  };
}
