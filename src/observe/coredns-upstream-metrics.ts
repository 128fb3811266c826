/*
 * CoreDNS's names for what it forwards, twice: as they are called now (`coredns_proxy_*`), and as they were called before 1.11
 * (`coredns_forward_*`), which dashboards and alerts still ask for.
 */
import { type Histogram, timeBoundsSeconds } from "../runtime/histogram.ts";
import { formatServerAddress } from "../runtime/server-address.ts";
import { counter, distribution, type LabelValues, type Metric } from "./metric.ts";
import { countOf, rcodeLabel, rcodeLabels } from "./metric-labels.ts";
import type { MetricSources } from "./metric-sources.ts";

const proxy = ["proxy_name", "to"] as const;

/** What CoreDNS reports about the servers that it asks. */
export const corednsUpstreamMetrics: readonly Metric[] = [
  distribution(
    "coredns_proxy_request_duration_seconds",
    [...proxy, "rcode"],
    timeBoundsSeconds,
    "Time from sending to an upstream server to its reply.",
    (sources, add) =>
      addUpstreamDurations(sources, (to, rcode, histogram) => add({ ...proxyLabels(to), rcode }, histogram)),
  ),
  counter(
    "coredns_proxy_healthcheck_failures_total",
    proxy,
    "Probes that an upstream server did not answer.",
    (sources, add) => {
      for (const { to, counters } of upstreamServers(sources)) add(proxyLabels(to), counters.failedProbes);
    },
  ),
  counter(
    "coredns_proxy_conn_cache_hits_total",
    [...proxy, "proto"],
    "Sends on a flow that was open already.",
    (sources, add) => {
      for (const { to, counters } of upstreamServers(sources)) {
        for (const proto of sources.names.transports) add({ ...proxyLabels(to), proto }, counters.reusedFlows[proto]);
      }
    },
  ),
  counter(
    "coredns_proxy_conn_cache_misses_total",
    [...proxy, "proto"],
    "Flows that had to be opened.",
    (sources, add) => {
      for (const { to, counters } of upstreamServers(sources)) {
        for (const proto of sources.names.transports) add({ ...proxyLabels(to), proto }, counters.openedFlows[proto]);
      }
    },
  ),

  counter(
    "coredns_forward_healthcheck_broken_total",
    [],
    "Questions that went upstream while no server of their route was up. They are asked all the same.",
    (sources, add) => add({}, sources.asksWithoutServer()),
  ),
  counter(
    "coredns_forward_max_concurrent_rejects_total",
    [],
    "Queries over a bound of `limits`. The client got a stale answer or silence.",
    (sources, add) => {
      const ofRoutes = [...sources.resolver().shed.values()];
      const counts = ofRoutes.flatMap((byClass) =>
        Object.values(byClass).flatMap((byReason) => Object.values(byReason)),
      );
      for (const count of counts) add({}, count);
    },
  ),
  counter("coredns_forward_requests_total", ["to"], "Queries that an upstream server answered.", (sources, add) =>
    addUpstreamDurations(sources, (to, _rcode, histogram) =>
      add({ to }, histogram === undefined ? 0 : countOf(histogram)),
    ),
  ),
  counter(
    "coredns_forward_responses_total",
    ["to", "rcode"],
    "Replies of an upstream server, by code.",
    (sources, add) => {
      for (const { to } of upstreamServers(sources))
        for (const rcode of rcodeLabels(sources.names)) add({ to, rcode }, 0);
      addUpstreamDurations(sources, (to, rcode, histogram) =>
        add({ to, rcode }, histogram === undefined ? 0 : countOf(histogram)),
      );
    },
  ),
  distribution(
    "coredns_forward_request_duration_seconds",
    ["to", "rcode"],
    timeBoundsSeconds,
    "Time from sending to an upstream server to its reply.",
    (sources, add) => addUpstreamDurations(sources, (to, rcode, histogram) => add({ to, rcode }, histogram)),
  ),
  counter(
    "coredns_forward_healthcheck_failures_total",
    ["to"],
    "Probes that an upstream server did not answer.",
    (sources, add) => {
      for (const { to, counters } of upstreamServers(sources)) add({ to }, counters.failedProbes);
    },
  ),
];

function proxyLabels(to: string): LabelValues<(typeof proxy)[number]> {
  return { proxy_name: "forward", to };
}

function upstreamServers(sources: MetricSources) {
  return Array.from(sources.serverCounters(), ({ address, counters }) => ({
    to: formatServerAddress(address),
    counters,
  }));
}

/** Reports the histogram of each server and response code, and an empty one for NOERROR: every server shows from the start. */
function addUpstreamDurations(
  sources: MetricSources,
  add: (to: string, rcode: string, histogram?: Histogram) => void,
): void {
  for (const { to, counters } of upstreamServers(sources)) {
    add(to, rcodeLabel(sources.names, 0));
    for (const [rcode, histogram] of counters.durations) add(to, rcodeLabel(sources.names, rcode), histogram);
  }
}
