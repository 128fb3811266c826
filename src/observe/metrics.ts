/*
 * All metrics together, in a registry that reads plain integers when it is scraped. Every read is synchronous, so one scrape is one
 * consistent moment.
 */
import { collectDefaultMetrics, Gauge, Registry } from "prom-client";
import { processStartSeconds } from "../runtime/clock.ts";
import { corednsMetrics } from "./coredns-metrics.ts";
import { corednsUpstreamMetrics } from "./coredns-upstream-metrics.ts";
import { type Metric, registerMetric } from "./metric.ts";
import type { MetricSources } from "./metric-sources.ts";
import { nodensMetrics } from "./nodens-metrics.ts";

/** Whether metrics are also shown under CoreDNS's names (settings: metrics.compat). */
export type MetricsCompat = "coredns" | "off";

/** Every metric of nodens, without those of the Node process that prom-client brings. */
export const allMetrics: readonly Metric[] = [...corednsMetrics, ...corednsUpstreamMetrics, ...nodensMetrics];

/**
 * prom-client's gauges that are named like counters, which promtool reports as errors. `nodejs_active_resources` says the same.
 */
const misnamedMetrics = [
  "nodejs_active_resources_total",
  "nodejs_active_handles_total",
  "nodejs_active_requests_total",
];

/**
 * For these prom-client would wake the process a hundred times a second, which is half of what it does at rest, to measure what
 * `nodens_eventloop_delay_seconds` tells too.
 */
const eventLoopMetrics = ["min", "max", "mean", "stddev", "p50", "p90", "p99"].map(
  (part) => `nodejs_eventloop_lag_${part}_seconds`,
);
const neverMs = 2 ** 31 - 1;

/** prom-client reads it when it is loaded, which with a snapshot was in another process. */
const startTimeMetric = "process_start_time_seconds";

/** Creates the registry. `sources` returns what is current: a reload may replace any of it. */
export function createMetrics(sources: MetricSources, { compat }: { readonly compat: MetricsCompat }): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: neverMs });
  for (const name of [...misnamedMetrics, ...eventLoopMetrics, startTimeMetric]) registry.removeSingleMetric(name);
  new Gauge({
    name: startTimeMetric,
    help: "Start time of the process since unix epoch in seconds.",
    registers: [registry],
    collect() {
      this.set(Math.round(processStartSeconds()));
    },
  });
  for (const metric of compat === "coredns" ? allMetrics : nodensMetrics) registerMetric(registry, metric, sources);
  return registry;
}
