/*
 * What the lookups of pods leave in a node's connection tracking: straight to kube-dns, and through nodens in each mode, beside
 * both of kube-proxy's. Needs root: the node, its pods and kube-dns are network namespaces.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { type CompiledClient, compileClient } from "../../test/support/program/compile-client.ts";
import { countFlows, type FlowCount, lookUpFromAllPods } from "../../test/support/program/count-flows.ts";
import { bedAddress, createNodeBed, type NodeBed } from "../../test/support/node/node-bed.ts";
import type { ProxyStyle } from "../../test/support/node/node-bed-proxy.ts";
import { type AttachMode, startNodensOnNode } from "../../test/support/node/nodens-on-node.ts";
import { missingRequirements } from "../../test/support/program/requirements.ts";
import { type Bar, drawBars, drawSvg } from "./draw-bars.ts";

const usage = `npm run bench:flows -- [flags]

  --lookups N        how many lookups in all (default 10000)
  --pods N           from how many pods, half glibc, half musl (default 20, at most 200)
  --proxy STYLE      iptables or nftables (default: both)
  --svg FILE         also draws the table as a picture
  --json FILE        also writes the numbers
  --help             shows this
`;

const tools = ["root", "ip", "nft", "iptables-restore", "conntrack", "curl", "unshare", "mount", "gcc", "musl-gcc"];

/** A way from the pods to an answer. */
interface Way {
  readonly name: string;
  readonly mode: AttachMode | undefined;
  readonly nameserver: string;
  /** Capabilities that nodens must do without. */
  readonly without?: readonly string[];
}

const ways: readonly Way[] = [
  { name: "straight to kube-dns", mode: undefined, nameserver: bedAddress.service },
  { name: "nodens, mode host-ip", mode: "host-ip", nameserver: bedAddress.node },
  { name: "nodens, mode link-local", mode: "link-local", nameserver: bedAddress.own },
  { name: "nodens, mode intercept", mode: "intercept", nameserver: bedAddress.service },
  { name: "host-ip, no NET_ADMIN", mode: "host-ip", nameserver: bedAddress.node, without: ["net_admin"] },
];

interface Row extends FlowCount {
  readonly proxy: ProxyStyle;
  readonly way: string;
}

/** Near this share of the limit the kernel drops packets and entries. */
const fullShare = 0.95;

// The end of the process removes what the bed has made.
process.once("SIGINT", () => process.exit(130));
process.once("SIGTERM", () => process.exit(143));
process.exitCode = await main();

async function main(): Promise<number> {
  const flags = readFlags();
  if (typeof flags === "number") return flags;
  const missing = missingRequirements(tools);
  if (missing.length > 0) {
    console.error(`bench:flows needs ${missing.join(", ")}`);
    return 1;
  }
  const clients = [await compileClient("getaddrinfo", "gcc"), await compileClient("getaddrinfo", "musl-gcc")];
  try {
    const rows: Row[] = [];
    for (const proxy of flags.proxies) rows.push(...(await measureProxy(proxy, flags, clients)));
    print(rows, flags.lookups, flags.pods);
    if (flags.svg !== undefined) writeFileSync(flags.svg, drawSvg(titleOf(flags.lookups, flags.pods), barsOf(rows)));
    if (flags.json !== undefined) writeFileSync(flags.json, `${JSON.stringify(rows, undefined, 2)}\n`);
    return rows.some(({ failed }) => failed > 0) ? 1 : 0;
  } finally {
    for (const client of clients) client.remove();
  }
}

interface Flags {
  readonly lookups: number;
  readonly pods: number;
  readonly proxies: readonly ProxyStyle[];
  readonly svg: string | undefined;
  readonly json: string | undefined;
}

/** The flags, or the exit code when there is nothing to measure. */
function readFlags(): Flags | number {
  try {
    const { values } = parseArgs({
      options: {
        lookups: { type: "string", default: "10000" },
        pods: { type: "string", default: "20" },
        proxy: { type: "string" },
        svg: { type: "string" },
        json: { type: "string" },
        help: { type: "boolean" },
      },
    });
    if (values.help === true) {
      console.log(usage);
      return 0;
    }
    const styles = ["iptables", "nftables"] as const;
    const proxies = values.proxy === undefined ? styles : styles.filter((style) => style === values.proxy);
    const [lookups, pods] = [Number(values.lookups), Number(values.pods)];
    if (proxies.length === 0) throw new Error("--proxy is iptables or nftables");
    if (!Number.isInteger(lookups) || lookups < 1) throw new Error("--lookups is a whole number from 1");
    if (!Number.isInteger(pods) || pods < 1 || pods > 200) throw new Error("--pods is a whole number from 1 to 200");
    return { lookups, pods, proxies, svg: values.svg, json: values.json };
  } catch (error) {
    console.error(`bench:flows: ${(error as Error).message}\n\n${usage}`);
    return 64;
  }
}

async function measureProxy(proxy: ProxyStyle, flags: Flags, clients: readonly CompiledClient[]): Promise<Row[]> {
  progress(`${proxy}: a node with ${flags.pods} pods`);
  const bed = await createNodeBed({ proxy, podCount: flags.pods });
  try {
    const rows: Row[] = [];
    for (const way of ways) {
      progress(`${proxy}: ${flags.lookups} lookups, ${way.name}`);
      rows.push({ proxy, way: way.name, ...(await measureWay(bed, way, flags.lookups, clients)) });
    }
    return rows;
  } finally {
    await bed.close();
  }
}

async function measureWay(
  bed: NodeBed,
  way: Way,
  lookups: number,
  clients: readonly CompiledClient[],
): Promise<FlowCount> {
  const { mode, without = [] } = way;
  // A table of those before would do for it what it may not do itself.
  if (without.length > 0) await bed.node.run("nft", ["delete", "table", "inet", "nodens"]);
  const nodens = mode === undefined ? undefined : await startNodensOnNode(bed, { mode, without });
  try {
    const paths = clients.map(({ path }) => path);
    return await countFlows(bed, () => lookUpFromAllPods(bed.pods, paths, way.nameserver, lookups));
  } finally {
    await nodens?.stop();
  }
}

function print(rows: readonly Row[], lookups: number, pods: number): void {
  console.log(`${titleOf(lookups, pods)}\n`);
  const head = ["kube-proxy", "way", "lookups", "failed", "queries", "entries", "of pods", "translated", "ports", "s"];
  const lines = rows.map((row) => [
    row.proxy,
    row.way,
    ...[row.lookups, row.failed, row.queries, row.entries, row.entriesOfPods, row.translated, row.sourcePorts].map(
      String,
    ),
    (row.durationMs / 1000).toFixed(1),
  ]);
  const widths = head.map((_, column) => Math.max(...[head, ...lines].map((line) => line[column]?.length ?? 0)));
  for (const line of [head, ...lines]) {
    console.log(
      line
        .map((cell, column) => (column < 2 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
        .join("  "),
    );
  }
  console.log(`\n${drawBars(barsOf(rows))}`);
  console.log(`
queries     datagrams with a question that pods sent
entries     what the node's connection tracking holds about DNS at the end; entries that it forgets after
            10 to 120 s by default are kept for 300 s here, so that all are counted
of pods     those of them that began in a pod
translated  those of them that are sent on to kube-dns from an address of the node
ports       how many different ports of the node that takes`);
  const limit = trackingLimit();
  if (rows.some(({ entries }) => entries > limit * fullShare)) {
    console.log(
      `\nConnection tracking was full (net.netfilter.nf_conntrack_max = ${limit}): there would be more entries.`,
    );
  }
}

function trackingLimit(): number {
  return Number(readFileSync("/proc/sys/net/netfilter/nf_conntrack_max", "utf8"));
}

function titleOf(lookups: number, pods: number): string {
  return `DNS entries in the node's connection tracking after ${lookups} lookups from ${pods} pods`;
}

function barsOf(rows: readonly Row[]): Bar[] {
  return rows.map(({ proxy, way, entries }) => ({ label: `${way} (${proxy})`, value: entries }));
}

function progress(text: string): void {
  console.error(`bench:flows: ${text}`);
}
