/*
 * docs/tested.md as text: what a run of the cluster's tests found, in tables.
 */
import { proxyModes } from "./node-setup.ts";

/** What the page says that differs from run to run. */
export interface TestedPage {
  /** The day of the run, "2026-11-27". */
  readonly date: string;
  /** Programs and their versions. */
  readonly versions: readonly (readonly string[])[];
  /** What was looked at, which way pods asked, and what was found with each of kube-proxy's modes. */
  readonly rows: readonly (readonly string[])[];
}

/** The page. */
export function testedPage({ date, versions, rows }: TestedPage): string {
  return `# Tested on a cluster

Written by \`npm run test:cluster\` on ${date}, which makes a Kubernetes cluster on one machine, puts nodens on it
with the manifests and the chart as they are, and does to it what happens to clusters. The last columns are kube-proxy's modes.

| program | version |
| --- | --- |
${versions.map(line).join("\n")}

Load: a pod with glibc and one with musl, each 40 lookups a second of six names with \`getaddrinfo\` for both families.
"0 / 2 of 600, 1.3 s" means that of 600 lookups none failed, 2 were late, and the slowest took 1.3 s. Late is an answer after more
than a second; failed is an error, or no end within half a minute. Two more pods ask kube-dns straight at the same time, each 20
lookups a second; where they lost anything, it stands in brackets.

| what | pods ask | ${proxyModes.join(" | ")} |
| --- | --- |${" --- |".repeat(proxyModes.length)}
${rows.map(line).join("\n")}
`;
}

function line(cells: readonly string[]): string {
  return `| ${cells.join(" | ")} |`;
}
