/*
 * The cluster's brain in the world outside of its nodes: etcd, the API server, the controllers, the scheduler; and the name server
 * that the nodes' resolv.conf names.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { apiServiceAddress, clusterDomain, podRange, serviceRange, worldAddress } from "./addresses.ts";
import type { Authority } from "./certificates.ts";
import type { Programs } from "./programs.ts";
import { type Daemon, type Place, runIn, startIn, waitFor } from "./places.ts";

/** The parts that run outside of the nodes. */
export interface ControlPlane {
  readonly daemons: readonly Daemon[];
  /** The kubeconfig of somebody who may do everything. */
  readonly adminKubeconfig: string;
}

/** Starts them in `world`, with logs and data in `folder`. Resolves when the API server is ready. */
export async function startControlPlane(
  world: Place,
  folder: string,
  programs: Programs,
  authority: Authority,
): Promise<ControlPlane> {
  await runIn(world, ["sh", "-ec", worldNetwork]);
  const start = (name: string, args: readonly string[]) =>
    startIn(world, name, [programs.paths[name] ?? name, ...args], join(folder, `${name}.log`));
  const outside = join(folder, "outside.corefile");
  writeFileSync(outside, outsideCorefile);
  const daemons = [start("coredns", ["-conf", outside]), start("etcd", etcdFlags(folder))];
  const adminKubeconfig = await authority.makeKubeconfig("admin", "admin", ["system:masters"]);
  daemons.push(start("kube-apiserver", await apiServerFlags(authority)));
  const kubectl = [programs.paths["kubectl"] ?? "kubectl", "--kubeconfig", adminKubeconfig];
  await waitFor("the API server is ready", async () => {
    const ended = daemons.find((daemon) => daemon.hasEnded());
    if (ended !== undefined) throw new Error(`${ended.name} ended:\n${ended.output().slice(-4000)}`);
    return (await runIn(world, [...kubectl, "get", "--raw", "/readyz"])) === "ok";
  });
  daemons.push(start("kube-controller-manager", await controllerFlags(authority)));
  const scheduler = await authority.makeKubeconfig("scheduler", "system:kube-scheduler");
  daemons.push(start("kube-scheduler", [`--kubeconfig=${scheduler}`, "--leader-elect=false"]));
  return { daemons, adminKubeconfig };
}

/** A bridge to which nodes are joined. */
const worldNetwork = `
ip link set lo up
ip link add lan type bridge
ip addr add ${worldAddress}/16 dev lan
ip link set lan up
`;

/** Names outside of the cluster: below example.com everything exists, elsewhere nothing. */
const outsideCorefile = `
.:53 {
  bind ${worldAddress}
  errors
  template IN A example.com {
    answer "{{ .Name }} 60 IN A 192.0.2.10"
  }
  template IN AAAA example.com {
    answer "{{ .Name }} 60 IN AAAA 2001:db8::10"
  }
  template ANY ANY . {
    rcode NXDOMAIN
    authority ". 60 IN SOA a.root-servers.net. nstld.verisign-grs.com. 2026112700 1800 900 604800 60"
  }
}
`;

function etcdFlags(folder: string): string[] {
  const data = join(folder, "etcd");
  mkdirSync(data, { recursive: true, mode: 0o700 });
  return [
    `--data-dir=${data}`,
    "--listen-client-urls=http://127.0.0.1:2379",
    "--advertise-client-urls=http://127.0.0.1:2379",
    "--listen-peer-urls=http://127.0.0.1:2380",
    // What it keeps need not outlive the machine.
    "--unsafe-no-fsync",
  ];
}

async function apiServerFlags(authority: Authority): Promise<string[]> {
  const names = [
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    `kubernetes.default.svc.${clusterDomain}`,
  ];
  const server = await authority.makeServer("apiserver", [...names, apiServiceAddress, worldAddress, "127.0.0.1"]);
  const kubeletClient = await authority.makeClient("apiserver-kubelet", "apiserver", ["system:masters"]);
  return [
    "--etcd-servers=http://127.0.0.1:2379",
    `--service-cluster-ip-range=${serviceRange}`,
    `--bind-address=${worldAddress}`,
    `--advertise-address=${worldAddress}`,
    `--tls-cert-file=${server.certificate}`,
    `--tls-private-key-file=${server.key}`,
    `--client-ca-file=${authority.certificate}`,
    `--service-account-key-file=${authority.serviceAccounts.publicKey}`,
    `--service-account-signing-key-file=${authority.serviceAccounts.privateKey}`,
    `--service-account-issuer=https://kubernetes.default.svc.${clusterDomain}`,
    "--authorization-mode=Node,RBAC",
    "--enable-admission-plugins=NodeRestriction",
    `--kubelet-certificate-authority=${authority.certificate}`,
    `--kubelet-client-certificate=${kubeletClient.certificate}`,
    `--kubelet-client-key=${kubeletClient.key}`,
    "--kubelet-preferred-address-types=InternalIP",
    "--allow-privileged=true",
  ];
}

async function controllerFlags(authority: Authority): Promise<string[]> {
  const kubeconfig = await authority.makeKubeconfig("controller-manager", "system:kube-controller-manager");
  return [
    `--kubeconfig=${kubeconfig}`,
    "--leader-elect=false",
    `--cluster-cidr=${podRange}`,
    // Nodes know their pods' addresses by themselves.
    "--allocate-node-cidrs=false",
    `--service-account-private-key-file=${authority.serviceAccounts.privateKey}`,
    `--root-ca-file=${authority.certificate}`,
    "--use-service-account-credentials=true",
  ];
}
