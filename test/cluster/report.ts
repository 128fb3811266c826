/*
 * What a run of the cluster's tests found, as a page: docs/tested.md.
 */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { release } from "node:os";
import { join } from "node:path";
import type { LoadFigures } from "./load.ts";
import { proxyModes, type ProxyMode } from "./node-setup.ts";
import { cacheFolder, type Programs } from "./programs.ts";
import { testedPage } from "./tested-page.ts";
import { projectFolder } from "../support/program/run-nodens.ts";

/** How pods reach DNS while something is looked at. */
export type Way =
  | "without nodens"
  | "intercept"
  | "link-local"
  | "host-ip"
  | "managed-cluster"
  | "service"
  | "chart"
  | "all rows of one node"
  | "all rows of two nodes";

/** What was found on one cluster. */
interface Finding {
  readonly what: string;
  readonly way: Way;
  readonly found: string;
}

/** Collects what is found on one cluster, whose kube-proxy keeps its mode. */
export interface Report {
  /** Notes what was found. Rows of the page stand in the order in which they were first noted. */
  note(what: string, way: Way, found: string): void;
}

/** A report without rows, which `writePage` finds. What is noted is printed too. */
export function startReport(proxyMode: ProxyMode, nodeCount: number): Report {
  const findings: Finding[] = [];
  return {
    note(what, way, found) {
      findings.push({ what, way, found });
      writeFileSync(findingsPath(proxyMode, nodeCount), JSON.stringify(findings));
      process.stderr.write(`${proxyMode}: ${what}, ${way}: ${found}\n`);
    },
  };
}

/** Forgets what the run before found. */
export function forgetFindings(): void {
  for (const path of proxyModes.flatMap(findingsPaths)) rmSync(path, { force: true });
}

/** What the page says of the cluster's parts. */
export interface Tested {
  readonly programs: Programs;
  /** The archive of nodens's image, which is not compressed. */
  readonly image: string;
}

/** Writes what reports have found into a page, if they have found anything. */
export function writePage(path: string, { programs, image }: Tested): void {
  const byMode = proxyModes.map((mode) => readFindings(mode));
  const all = byMode.flat();
  if (all.length === 0) return;
  const whats = [...new Set(all.map(({ what }) => what))];
  const rows = whats.flatMap((what) => {
    const ways = new Set(all.filter((finding) => finding.what === what).map(({ way }) => way));
    return [...ways].map((way, index) => {
      const cells = byMode.map(
        (findings) => findings.findLast((finding) => finding.what === what && finding.way === way)?.found ?? "",
      );
      return [index === 0 ? what : "", way, ...cells];
    });
  });
  const date = new Date().toISOString().slice(0, 10);
  const imageSize = `${Math.round(statSync(image).size / 2 ** 20)} MiB unpacked`;
  const versions = [...versionsOf(programs), ["image of nodens, on a base made by debootstrap", imageSize]];
  writeFileSync(path, testedPage({ date, versions, rows }));
}

function findingsPath(proxyMode: ProxyMode, nodeCount: number): string {
  return join(cacheFolder, `found-${proxyMode}-${nodeCount}.json`);
}

/** Those of clusters of one node and of two. */
function findingsPaths(proxyMode: ProxyMode): string[] {
  return [1, 2].map((nodeCount) => findingsPath(proxyMode, nodeCount));
}

function readFindings(proxyMode: ProxyMode): Finding[] {
  const paths = findingsPaths(proxyMode).filter((path) => existsSync(path));
  return paths.flatMap((path) => JSON.parse(readFileSync(path, "utf8")) as Finding[]);
}

/**
 * Figures of a load in the few words of a cell. What others lost meanwhile, which asked kube-dns straight, is in it only if they lost
 * anything.
 */
export function inWords(figures: LoadFigures, plain?: LoadFigures): string {
  const inBrackets =
    plain !== undefined && plain.failed + plain.late > 0 ? ` (kube-dns: ${figuresInWords(plain)})` : "";
  return `${figuresInWords(figures)}${inBrackets}`;
}

function figuresInWords({ lookups, failed, late, slowestMs }: LoadFigures): string {
  const slowest = slowestMs < 1000 ? `${Math.round(slowestMs)} ms` : `${(slowestMs / 1000).toFixed(1)} s`;
  return `${failed} / ${late} of ${lookups}, ${slowest}`;
}

function versionsOf({ versions }: Programs): [string, string][] {
  const said = (program: string, ...args: string[]) => execFileSync(program, args, { encoding: "utf8" });
  const first = (text: string) => /\d+\.\d+[\w.+~-]*/.exec(text)?.[0] ?? "unknown";
  return [
    ["Kubernetes", versions["k8s.io/kubernetes"] ?? ""],
    ["containerd", versions["github.com/containerd/containerd/v2"] ?? ""],
    ["CoreDNS", versions["github.com/coredns/coredns"] ?? ""],
    ["etcd", versions["go.etcd.io/etcd/server/v3"] ?? ""],
    ["runc", first(said("runc", "--version"))],
    ["nftables of the node", first(said("nft", "--version"))],
    ["iptables of the node", first(said("iptables", "--version"))],
    ["Linux", release()],
    ["nodens", said("git", "-C", projectFolder, "describe", "--always", "--dirty").trim()],
  ];
}

/** Where the page is in the checkout. */
export const pagePath = join(projectFolder, "docs", "tested.md");
