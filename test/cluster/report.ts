/*
 * What a run of the cluster's tests found, as a page: docs/tested.md.
 */
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { release } from "node:os";
import { join } from "node:path";
import type { LoadFigures } from "./load.ts";
import type { ProxyMode } from "./node-setup.ts";
import type { Programs } from "./programs.ts";
import { projectFolder } from "../support/program/run-nodens.ts";

/** How pods reach DNS while something is looked at. */
export type Way = "without nodens" | "intercept" | "link-local" | "host-ip" | "managed-cluster" | "chart";

/** Collects rows of the page. */
export interface Report {
  /** Notes what was found in a row. Rows stand in the order in which they were first noted. */
  note(what: string, way: Way, proxyMode: ProxyMode, found: string): void;
  /** Writes the page to a file. */
  write(path: string, programs: Programs, budget: string): void;
}

/** A report without rows. */
export function startReport(): Report {
  const rows = new Map<string, { what: string; way: Way; found: Map<ProxyMode, string> }>();
  return {
    note(what, way, proxyMode, found) {
      const key = `${what} ${way}`;
      const row = rows.get(key) ?? { what, way, found: new Map<ProxyMode, string>() };
      row.found.set(proxyMode, found);
      rows.set(key, row);
    },
    write(path, programs, load) {
      const whats = [...new Set([...rows.values()].map(({ what }) => what))];
      const lines = whats.flatMap((what) =>
        [...rows.values()]
          .filter((row) => row.what === what)
          .map(({ way, found }, index) => {
            const cells = [index === 0 ? what : "", way, found.get("iptables") ?? "", found.get("nftables") ?? ""];
            return `| ${cells.join(" | ")} |`;
          }),
      );
      writeFileSync(path, page(versionsOf(programs), load, lines));
    },
  };
}

/** Figures of a load in a few words. */
export function inWords({ lookups, failed, late, slowestMs, failedNames }: LoadFigures): string {
  const slowest = slowestMs < 1000 ? `${Math.round(slowestMs)} ms` : `${(slowestMs / 1000).toFixed(1)} s`;
  const lost = failed === 0 ? "0 failed" : `${failed} failed (${failedNames.slice(0, 4).join(", ")})`;
  return `${lost}, ${late} late of ${lookups}; slowest ${slowest}`;
}

function page(versions: readonly (readonly [string, string])[], load: string, rows: readonly string[]): string {
  return `# Tested on a cluster

Written by \`npm run test:cluster\` on ${new Date().toISOString().slice(0, 10)}, which makes a Kubernetes cluster on one machine, puts
nodens on it with the manifests and the chart as they are, and does to it what happens to clusters. The columns are kube-proxy's modes.

| program | version |
| ------- | ------- |
${versions.map((cells) => `| ${cells.join(" | ")} |`).join("\n")}

${load}

| what | pods ask | kube-proxy: iptables | kube-proxy: nftables |
| ---- | -------- | -------------------- | -------------------- |
${rows.join("\n")}
`;
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
