/*
 * What the search suffixes of pods cost: how many queries getaddrinfo of musl and of glibc sends for one lookup, and how many of
 * them reach upstream, straight and through nodens. Each row has a cold nodens of its own.
 *
 *     bench/whole/search.ts [--upstream embedded|named|unbound] [--client musl|glibc] [--suffixes 3|5] [--json FILE]
 */
import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs, promisify } from "node:util";
import { type CompiledClient, compileClient } from "../../test/support/program/compile-client.ts";
import { metricSum } from "../../test/support/program/metric-sums.ts";
import { writeResolvConf } from "../../test/support/node/pod-lookups.ts";
import { findCommand, missingRequirements } from "../../test/support/program/requirements.ts";
import { runNodens } from "../../test/support/program/run-nodens.ts";
import { podSearchList } from "../../test/support/servers/search-zone.ts";
import { type CountedUpstream, startCountedUpstream, type UpstreamKind } from "./search-upstreams.ts";

const run = promisify(execFile);

/** What is looked up: a name, and another of the same kind that is looked up after it. */
const lookups = [
  { what: "Service", name: "web", next: "dual", mostAtFirst: 2, mostForNext: 2 },
  { what: "2 labels", name: "baidu.com", next: "example.com", mostAtFirst: 4, mostForNext: 2 },
  { what: "3 labels", name: "www.baidu.com", next: "www.example.com", mostAtFirst: 3, mostForNext: 2 },
  { what: "4 labels", name: "a.b.example.com", next: "c.d.example.com", mostAtFirst: 2, mostForNext: 2 },
  { what: "absent", name: "nope.com", next: "nor.com", mostAtFirst: 4, mostForNext: 2 },
] as const;

const hostSuffixes = ["ec2.internal", "corp.example"];
const searchLists = [podSearchList, [...podSearchList, ...hostSuffixes]];
const libraries = { musl: "musl-gcc", glibc: "gcc" } as const;
type Library = keyof typeof libraries;
type Clients = Readonly<Record<Library, CompiledClient>>;

/** What one lookup took: queries that the client sent, and queries that reached upstream. */
interface Cost {
  readonly sent: number;
  readonly upstream: number;
}

interface Row {
  readonly upstream: UpstreamKind;
  readonly library: Library;
  readonly suffixes: number;
  readonly what: string;
  readonly name: string;
  readonly straight: Cost;
  readonly first: Cost;
  /** The same name again, while its answer or denial lives. */
  readonly again: Cost;
  /** Another name of the same kind, while what was learned lives. */
  readonly next: Cost;
  /** Whether more reached upstream than is aimed at. */
  readonly isOverTarget: boolean;
}

/** An address of our own with a free port 53: resolv.conf knows no ports. */
const [upstreamHost, nodensHost] = [0, 1].map(
  (nth) => `127.${64 + ((process.pid >> 16) & 31) + 32 * nth}.${(process.pid >> 8) & 255}.${process.pid & 255}`,
) as [string, string];

/** What is under way upstream when a client has its answer is over by then. */
const settleMs = 80;

/** Without a filter everything is measured: both kinds of upstream, both clients, both search lists. */
const { values: flags } = parseArgs({
  options: {
    upstream: { type: "string" },
    client: { type: "string" },
    suffixes: { type: "string" },
    json: { type: "string" },
  },
});
process.exitCode = await main();

async function main(): Promise<number> {
  const missing = missingRequirements(["root", "unshare", "mount", ...Object.values(libraries)]);
  if (missing.length > 0) {
    console.error(`bench:search needs ${missing.join(", ")}`);
    return 1;
  }
  const clients: Clients = {
    musl: await compileClient("getaddrinfo", libraries.musl),
    glibc: await compileClient("getaddrinfo", libraries.glibc),
  };
  try {
    const rows: Row[] = [];
    for (const kind of upstreamKinds()) rows.push(...(await measureUpstream(clients, kind)));
    printTable(rows);
    if (flags.json !== undefined) writeFileSync(flags.json, `${JSON.stringify(rows, undefined, 2)}\n`);
    if (rows.length === 0) console.error("bench:search: nothing is like that; see the head of bench/whole/search.ts");
    return rows.length === 0 || rows.some(({ isOverTarget }) => isOverTarget) ? 1 : 0;
  } finally {
    for (const client of Object.values(clients)) client.remove();
  }
}

/** The kind that was asked for, or the embedded cluster DNS and, where there is one, a real server. */
function upstreamKinds(): UpstreamKind[] {
  const wanted = (["embedded", "named", "unbound"] as const).filter((kind) => kind === flags.upstream);
  if (flags.upstream !== undefined) return wanted;
  const real = (["named", "unbound"] as const).find((command) => findCommand(command) !== undefined);
  if (real === undefined) progress("neither named nor unbound is installed: only the embedded cluster DNS is measured");
  return real === undefined ? ["embedded"] : ["embedded", real];
}

async function measureUpstream(clients: Clients, kind: UpstreamKind): Promise<Row[]> {
  const upstream = await startCountedUpstream(kind, upstreamHost);
  try {
    const rows: Row[] = [];
    for (const searchList of searchLists) {
      if (!isWanted(flags.suffixes, String(searchList.length))) continue;
      for (const library of Object.keys(libraries) as Library[]) {
        if (!isWanted(flags.client, library)) continue;
        for (const lookup of lookups) {
          progress(`${kind}, ${searchList.length} suffixes, ${library}: ${lookup.name}`);
          rows.push(await measureRow(clients[library], kind, upstream, searchList, library, lookup));
        }
      }
    }
    return rows;
  } finally {
    await upstream.close();
  }
}

function isWanted(filter: string | undefined, value: string): boolean {
  return filter === undefined || filter === value;
}

async function measureRow(
  client: CompiledClient,
  kind: UpstreamKind,
  upstream: CountedUpstream,
  searchList: readonly string[],
  library: Library,
  lookup: (typeof lookups)[number],
): Promise<Row> {
  const suffixes = searchList.slice(podSearchList.length);
  const found = new Map<string, string>();

  async function lookUp(server: string, name: string): Promise<void> {
    const resolvConf = writeResolvConf(server, searchList);
    // In a mount namespace of its own, where our resolv.conf stands in the place of the machine's.
    const script = 'mount --bind "$0" /etc/resolv.conf && exec "$@"';
    const args = ["--mount", "sh", "-c", script, resolvConf.path, client.path, name];
    const { stdout } = await run(findCommand("unshare") as string, args).finally(() => resolvConf.remove());
    const before = found.get(name);
    if (before !== undefined && before !== stdout)
      throw new Error(`${name} was ${before.trim()}, now ${stdout.trim()}`);
    found.set(name, stdout);
  }

  async function costOf(action: () => Promise<void>, sent?: () => Promise<number>): Promise<Cost> {
    const [upstreamBefore, sentBefore] = [upstream.count(), (await sent?.()) ?? 0];
    await action();
    await delay(settleMs);
    const reached = upstream.count() - upstreamBefore;
    return { sent: sent === undefined ? reached : (await sent()) - sentBefore, upstream: reached };
  }

  const straight = await costOf(() => lookUp(upstreamHost, lookup.name));
  const nodens = await runNodens({
    settings: {
      listen: { addresses: [`${nodensHost}:53`] },
      upstream: { servers: [`${upstreamHost}:53`] },
      search: { suffixes },
    },
  });
  try {
    const sent = () => metricSum(nodens, "coredns_dns_requests_total");
    const [first, again, next] = [
      await costOf(() => lookUp(nodensHost, lookup.name), sent),
      await costOf(() => lookUp(nodensHost, lookup.name), sent),
      await costOf(() => lookUp(nodensHost, lookup.next), sent),
    ];
    // Each further suffix costs one query, for which rule 1 has no short cut.
    const reachesSuffixes = lookup.what !== "Service";
    const extra = reachesSuffixes ? suffixes.length : 0;
    const isOverTarget =
      first.upstream > lookup.mostAtFirst + extra || again.upstream > 0 || next.upstream > lookup.mostForNext + extra;
    const { what, name } = lookup;
    return {
      upstream: kind,
      library,
      suffixes: searchList.length,
      what,
      name,
      straight,
      first,
      again,
      next,
      isOverTarget,
    };
  } finally {
    await nodens.stop();
  }
}

function printTable(rows: readonly Row[]): void {
  const head = ["upstream", "suffixes", "client", "lookup", "name", "straight", "first", "again", "next name", ""];
  const cost = ({ sent, upstream }: Cost) => `${sent} > ${upstream}`;
  const cells = rows.map((row) => [
    row.upstream,
    String(row.suffixes),
    row.library,
    row.what,
    row.name,
    String(row.straight.upstream),
    cost(row.first),
    cost(row.again),
    cost(row.next),
    row.isOverTarget ? "over target" : "",
  ]);
  const widths = head.map((_, column) => Math.max(...[head, ...cells].map((line) => (line[column] ?? "").length)));
  const print = (line: readonly string[]) =>
    console.log(line.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ").trimEnd()); // prettier-ignore
  console.log(
    "Queries for one lookup: straight, all reach upstream; through nodens, sent by the client > seen upstream.\n",
  );
  print(head);
  for (const line of cells) print(line);
}

function progress(text: string): void {
  console.error(`bench:search: ${text}`);
}
