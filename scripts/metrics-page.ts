/* docs/metrics.md, written from the tables of metrics. */
import { corednsMetrics } from "../src/observe/coredns-metrics.ts";
import { corednsUpstreamMetrics } from "../src/observe/coredns-upstream-metrics.ts";
import type { Metric } from "../src/observe/metric.ts";
import { nodensMetrics } from "../src/observe/nodens-metrics.ts";

const lead = `# Metrics

This page is generated from the tables in \`src/observe/\` (\`npm run docs\`).

\`/metrics\` on \`admin.address\` shows everything in the Prometheus text format 0.0.4, on one port. Two families of names tell of
the same numbers:

- \`coredns_*\` are the names, labels and buckets of CoreDNS and node-local-dns, so that dashboards and alerts for them work
  unchanged. \`metrics.compat: off\` hides them.
- \`nodens_*\` are for what CoreDNS does not tell.

Beside them there are \`process_*\` and \`nodejs_*\`, which tell of the process.

No label value comes from a query: names, and types or codes that nodens does not know, never make a series. What can be
counted is shown as 0 from the first scrape. A server that a reload removed keeps its series until nodens is started again.

The labels of CoreDNS mean: \`server\` is a listening address as \`dns://169.254.20.10:53\` (for the cache, which is one for all
addresses, the first of them); \`zone\` and \`zones\` are \`.\`, \`view\` is empty; \`proto\` is \`udp\` or \`tcp\`; \`family\` is \`1\` for
IPv4, \`2\` for IPv6; \`plugin\` is who wrote a reply: \`cache\`, \`forward\`, or empty for nodens itself; \`to\` is an upstream server
as \`10.96.0.10:53\`; \`proxy_name\` is \`forward\`; \`type\` is a query's type, or for the cache \`success\` or \`denial\`.
`;

const tableHead = `
| metric | kind | unit | labels | what it tells |
| ------ | ---- | ---- | ------ | ------------- |
`;

/** The text of docs/metrics.md: a lead, one table for each family, and the buckets. */
export function metricsPage(): string {
  const coredns = [...corednsMetrics, ...corednsUpstreamMetrics];
  return [
    lead,
    `\n## Of nodens itself\n${tableHead}`,
    ...nodensMetrics.map(renderRow),
    `\n## Compatible with CoreDNS\n${tableHead}`,
    ...coredns.map(renderRow),
    "\n## Buckets\n\nUpper bounds; the last one is always `+Inf`.\n\n",
    ...renderBuckets([...nodensMetrics, ...coredns]),
  ].join("");
}

function renderRow({ name, kind, labels, help }: Metric): string {
  const labelCell = labels.map((label) => `\`${label}\``).join(", ");
  return `| \`${name}\` | ${kind} | ${unitOf(name)} | ${labelCell} | ${help.replaceAll("|", "\\|")} |\n`;
}

/** Names carry their unit, in front of the `_total` of counters. */
function unitOf(name: string): string {
  return /_(seconds|bytes)(?:_total)?$/.exec(name)?.[1] ?? "";
}

function renderBuckets(metrics: readonly Metric[]): string[] {
  const namesByBounds = Map.groupBy(
    metrics.filter((metric) => metric.kind === "histogram" && metric.bounds.length > 0),
    (metric) => (metric.kind === "histogram" ? metric.bounds.join(", ") : ""),
  );
  return [...namesByBounds].map(
    ([bounds, members]) => `- ${members.map(({ name }) => `\`${name}\``).join(", ")}: ${bounds}\n`,
  );
}
