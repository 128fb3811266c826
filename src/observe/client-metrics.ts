/*
 * What clients ask and get: times, malformed queries, repeats, drops, connections.
 */
import type { ListenCounters } from "../listen/listen-counters.ts";
import { timeBoundsSeconds } from "../runtime/histogram.ts";
import { wordLabel } from "./metric-labels.ts";
import type { MetricSources } from "./metric-sources.ts";
import { type AddNumber, counter, distribution, gauge, type Metric } from "./metric.ts";

/** What a source of replies means to the client. */
const answerKinds: Readonly<Record<string, string>> = { cache: "hit", upstream: "miss" };

/** Metrics of what clients ask and get. */
export const clientMetrics: readonly Metric[] = [
  distribution(
    "nodens_answer_duration_seconds",
    ["source"],
    timeBoundsSeconds,
    "Time from receiving a query to having answered it: from the cache (hit), from upstream (miss), expired (stale), by a search rule (rule), or with an error of nodens's own (error).",
    (sources, add) => {
      sources.names.replySources.forEach((source, slot) => {
        const labels = { source: answerKinds[source] ?? source };
        add(labels);
        for (const { durations } of sources.listeners()) add(labels, durations[slot]);
      });
    },
  ),
  counter(
    "nodens_client_malformed_total",
    ["reason"],
    "Malformed queries, by what is wrong with them.",
    (sources, add) => {
      sources.names.faults.forEach((fault, slot) => {
        if (slot === 0) return;
        add({ reason: wordLabel(fault) }, 0);
        for (const { faults } of sources.listeners()) add({ reason: wordLabel(fault) }, faults[slot] ?? 0);
      });
    },
  ),
  counter(
    "nodens_dropped_queries_total",
    ["reason"],
    "Queries that got no reply: the client may not ask, the query cannot be replied to, a bound of `limits` was reached, it or its answer came too late (late), or nodens was ending.",
    (sources, add) => {
      for (const { drops } of sources.listeners()) {
        for (const [reason, count] of Object.entries(drops)) add({ reason }, count);
      }
    },
  ),
  counter(
    "nodens_client_repeats_total",
    ["after", "first"],
    "Queries that a client sent again with the same port and ID, because it had waited in vain. `first` is what had become of the first: answered (the reply was lost on the way to the pod), waiting (for upstream), shed (by a limit), failed (an error, after which musl waits), unseen (lost on the way from the pod). Why, and which pods, `nodens top` and the page tell, pods whose questions were left to kube-dns among them.",
    (sources, add) => {
      for (const [first, name] of sources.names.firsts.entries()) {
        for (const [bucket, after] of sources.names.waitBuckets.entries())
          add({ after, first: name }, sources.waits(first, bucket));
      }
    },
  ),
  counter(
    "nodens_client_forgotten_queries_total",
    [],
    "Queries that were forgotten within 5 s to make room for others: had a client sent them again, that would not be in nodens_client_repeats_total.",
    (sources, add) => add({}, sources.forgottenQueries()),
  ),
  counter(
    "nodens_truncated_replies_total",
    ["proto"],
    "Replies with TC set, because they did not fit.",
    (sources, add) => {
      for (const { protocol: proto, truncated } of sources.listeners()) add({ proto }, truncated);
    },
  ),
  counter(
    "nodens_udp_rx_dropped_total",
    [],
    "Datagrams that the kernel dropped from full receive queues of our addresses. Linux only.",
    (sources, add) => add({}, sources.receiveDrops()),
  ),
  gauge(
    "nodens_tcp_connections_open",
    [],
    "Open TCP connections from clients.",
    ofListeners((listener) => listener.openConnections),
  ),
  counter(
    "nodens_tcp_connections_accepted_total",
    [],
    "TCP connections accepted from clients.",
    ofListeners((listener) => listener.acceptedConnections),
  ),
  counter(
    "nodens_tcp_connections_evicted_total",
    [],
    "TCP connections closed to make room for new ones, of the same client or of the client with most.",
    ofListeners((listener) => listener.evictedConnections),
  ),
  counter(
    "nodens_tcp_connections_overflowed_total",
    [],
    "TCP connections closed because the client did not read its replies, or because too much was kept for all of them.",
    ofListeners((listener) => listener.overflowedConnections),
  ),
  counter(
    "nodens_unsent_replies_total",
    ["reason"],
    "Replies over UDP that the kernel did not send: a firewall rule of the node forbids them (forbidden), or another reason (other).",
    (sources, add) => {
      for (const { unsent } of sources.listeners()) {
        for (const [reason, count] of Object.entries(unsent)) add({ reason }, count);
      }
    },
  ),
];

function ofListeners(value: (listener: ListenCounters) => number) {
  return (sources: MetricSources, add: AddNumber<never>): void => {
    for (const listener of sources.listeners()) add({}, value(listener));
  };
}
