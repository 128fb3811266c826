/*
 * `npm run cluster`: a cluster to try things on by hand.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { clusterRequirements, findKeptClusters, type KeptCluster, removeCluster, startCluster } from "./cluster.ts";
import { buildNodensImage, nodensImage } from "./images.ts";
import type { ProxyMode } from "./node-setup.ts";
import { commandIn, runIn } from "./places.ts";
import { missingRequirements } from "../support/program/requirements.ts";

const usage = `npm run cluster -- COMMAND

  up [--proxy iptables|nftables] [--nodes N]   starts a cluster, in the first run after compiling it for minutes
  load                    builds nodens's image from the working tree and loads it on every node
  kubectl ARGUMENT...     kubectl, as somebody who may do everything; from the folder that you are in
  shell [NODE]            a shell in the network of a node, node1 unless said otherwise
  down                    removes the cluster
`;

const began = performance.now();

function print(line: string): void {
  process.stderr.write(`${String(Math.round((performance.now() - began) / 1000)).padStart(4)} s  ${line}\n`);
}

async function up(args: readonly string[]): Promise<number> {
  const options = { proxy: { type: "string", default: "iptables" }, nodes: { type: "string", default: "1" } } as const;
  const { values } = parseArgs({ args: [...args], options });
  if (values.proxy !== "iptables" && values.proxy !== "nftables")
    throw new Error(`no mode of kube-proxy: ${values.proxy}`);
  if (findKeptClusters().length > 0) throw new Error("there is one already: npm run cluster -- down");
  const proxyMode: ProxyMode = values.proxy;
  const cluster = await startCluster({ proxyMode, nodeCount: Number(values.nodes), print });
  writeFileSync(join(cluster.folder, "kept"), "");
  await cluster.keep();
  print(`up, in ${cluster.folder}: npm run cluster -- kubectl get pods -A`);
  return 0;
}

async function load(): Promise<number> {
  const { nodes, ctr } = kept();
  const archive = await buildNodensImage(print);
  for (const node of nodes) {
    await runIn(node, [ctr, "--namespace", "k8s.io", "images", "import", "--local", archive]);
    print(`${nodensImage} is on ${node.name}`);
  }
  return 0;
}

async function kubectl(args: readonly string[]): Promise<number> {
  const cluster = kept();
  // In the cluster's network, with the machine's files.
  return runHere(
    commandIn(cluster, [...cluster.kubectl, ...args], ["--net"], process.env["INIT_CWD"] ?? process.cwd()),
  );
}

async function shell([name = "node1"]: readonly string[]): Promise<number> {
  const node = kept().nodes.find((each) => each.name === name);
  if (node === undefined) throw new Error(`no node ${name}`);
  return runHere(commandIn(node, [process.env["SHELL"] ?? "/bin/sh"]));
}

async function down(): Promise<number> {
  for (const cluster of findKeptClusters()) {
    await removeCluster(cluster);
    print(`removed ${cluster.folder}`);
  }
  return 0;
}

function kept(): KeptCluster {
  const [cluster] = findKeptClusters();
  if (cluster === undefined) throw new Error("there is none: npm run cluster -- up");
  return cluster;
}

async function runHere([program = "", ...args]: readonly string[]): Promise<number> {
  const [code] = (await once(spawn(program, args, { stdio: "inherit" }), "exit")) as [number | null];
  return code ?? 1;
}

const commands: Readonly<Record<string, (args: readonly string[]) => Promise<number>>> = {
  up,
  load,
  kubectl,
  shell,
  down,
};

const [name = "", ...rest] = process.argv.slice(2);
const command = commands[name];
const missing = missingRequirements(clusterRequirements);
if (command === undefined) {
  process.stderr.write(usage);
  process.exitCode = 64;
} else if (missing.length > 0) {
  process.stderr.write(`a cluster needs ${missing.join(", ")}: .ci/run installs them on Debian\n`);
  process.exitCode = 1;
} else {
  process.exitCode = await command(rest).catch((error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  });
}
