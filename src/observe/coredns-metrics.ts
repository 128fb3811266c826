/*
 * The names that dashboards and alerts for CoreDNS and node-local-dns expect, with CoreDNS's labels and buckets.
 *
 * nodens has one cache for all addresses where CoreDNS has one per server block: its numbers carry the first address only, so
 * that sums stay correct.
 */
import type { SetupProblemKind } from "../attach/setup-problem.ts";
import { sizeBoundsBytes, timeBoundsSeconds } from "../runtime/histogram.ts";
import type { ServerAddress } from "../runtime/server-address.ts";
import { type AddNumber, counter, distribution, gauge, type LabelValues, type Metric } from "./metric.ts";
import { familyLabel, rcodeLabel, rcodeLabels, serverLabel } from "./metric-labels.ts";
import type { MetricSources } from "./metric-sources.ts";

const server = ["server", "zone", "view"] as const;
const cache = ["server", "zones", "view"] as const;

/** What CoreDNS reports about itself, its clients and its cache. */
export const corednsMetrics: readonly Metric[] = [
  gauge(
    "coredns_build_info",
    ["version", "revision", "goversion"],
    "What is running. `goversion` is the version of Node.",
    ({ build }, add) => add({ version: build.version, revision: build.revision, goversion: build.nodeVersion }, 1),
  ),
  counter("coredns_panics_total", [], "Uncaught exceptions that nodens survived.", (sources, add) =>
    add({}, sources.survivedExceptions()),
  ),
  gauge(
    "coredns_plugin_enabled",
    [...server, "name"],
    "The parts of nodens that do what a CoreDNS plugin does.",
    (sources, add) => {
      for (const labels of servers(sources)) for (const name of plugins) add({ ...labels, name }, 1);
    },
  ),

  counter(
    "coredns_dns_requests_total",
    [...server, "proto", "family", "type"],
    "Well-formed queries, by type.",
    (sources, add) => {
      for (const { address, protocol: proto, requestsByType } of sources.listeners()) {
        const labels = { ...serverLabels(address), proto, family: familyLabel(address) };
        sources.names.requestTypes.forEach((type, slot) => add({ ...labels, type }, requestsByType[slot] ?? 0));
      }
    },
  ),
  counter(
    "coredns_dns_responses_total",
    [...server, "rcode", "plugin"],
    "Replies, by code and by the part that wrote them.",
    readResponses,
  ),
  counter("coredns_dns_do_requests_total", server, "Queries with the DO bit.", (sources, add) => {
    for (const { address, dnssecOk } of sources.listeners()) add(serverLabels(address), dnssecOk);
  }),
  distribution(
    "coredns_dns_request_duration_seconds",
    server,
    timeBoundsSeconds,
    "Time from receiving a query to having answered it.",
    (sources, add) => {
      for (const { address, durations } of sources.listeners()) {
        for (const histogram of durations) add(serverLabels(address), histogram);
      }
    },
  ),
  distribution(
    "coredns_dns_request_size_bytes",
    [...server, "proto"],
    sizeBoundsBytes,
    "Size of queries.",
    (sources, add) => {
      for (const { address, protocol: proto, requestSizes } of sources.listeners())
        add({ ...serverLabels(address), proto }, requestSizes);
    },
  ),
  distribution(
    "coredns_dns_response_size_bytes",
    [...server, "proto"],
    sizeBoundsBytes,
    "Size of replies.",
    (sources, add) => {
      for (const { address, protocol: proto, replySizes } of sources.listeners())
        add({ ...serverLabels(address), proto }, replySizes);
    },
  ),

  gauge(
    "coredns_cache_entries",
    [...cache, "type"],
    "Entries in the cache, expired ones included.",
    ofCacheByType((sources, type) => sources.cache().usage(type === "success" ? "answer" : "denial").entries),
  ),
  counter(
    "coredns_cache_requests_total",
    cache,
    "Lookups in the cache.",
    ofCache((sources) => {
      const { answerHits, denialHits, misses } = sources.cache().counters;
      return answerHits + denialHits + misses;
    }),
  ),
  counter(
    "coredns_cache_hits_total",
    [...cache, "type"],
    "Lookups that found an answer or a denial.",
    ofCacheByType((sources, type) => {
      const { answerHits, denialHits } = sources.cache().counters;
      return type === "success" ? answerHits : denialHits;
    }),
  ),
  counter(
    "coredns_cache_misses_total",
    cache,
    "Lookups that found nothing.",
    ofCache((sources) => sources.cache().counters.misses),
  ),
  counter(
    "coredns_cache_prefetch_total",
    cache,
    "Hot names asked again before they expired.",
    ofCache((sources) => sources.resolver().prefetches),
  ),
  counter(
    "coredns_cache_served_stale_total",
    cache,
    "Expired answers given because upstream failed or was slow.",
    ofCache((sources) => sources.resolver().staleAnswers),
  ),
  counter(
    "coredns_cache_drops_total",
    cache,
    "Upstream replies that could not be used: malformed, or to another question.",
    ofCache((sources) => {
      const ignored = [...sources.serverCounters()].map(({ counters }) => counters.ignored);
      return ignored.reduce((sum, counts) => sum + counts.malformed + counts["wrong-question"], 0);
    }),
  ),
  counter(
    "coredns_cache_evictions_total",
    [...cache, "type"],
    "Entries evicted to make room for others.",
    ofCacheByType((sources, type) => {
      const { answerEvictions, denialEvictions } = sources.cache().counters;
      return type === "success" ? answerEvictions : denialEvictions;
    }),
  ),

  counter("coredns_reload_failed_total", [], "Reloads that failed: the new settings were refused.", (sources, add) =>
    add({}, sources.reloads().failed),
  ),
  gauge("coredns_reload_version_info", ["hash", "value"], "The settings in force, by their hash.", (sources, add) =>
    add({ hash: "sha256", value: sources.settingsHash() }, 1),
  ),
  counter(
    "coredns_nodecache_setup_errors_total",
    ["errortype"],
    "Failures to set up the node, by node-local-dns's names for them.",
    (sources, add) => {
      const errors = Object.entries(sources.setupErrors()) as [SetupProblemKind, number][];
      for (const [kind, count] of errors) add({ errortype: errorTypes[kind] }, count);
    },
  ),
];

const plugins = ["cache", "forward", "health", "ready", "prometheus", "reload"] as const;

/** Which CoreDNS plugin would have written a reply from this source. The server itself writes what is left. */
const pluginOfSource: Readonly<Record<string, string>> = { cache: "cache", stale: "cache", upstream: "forward" };

/** node-local-dns has five kinds of failure, which date from iptables; these come closest. */
const errorTypes: Readonly<Record<SetupProblemKind, string>> = {
  nft: "iptables",
  nft_owner: "iptables_lock",
  permission: "iptables",
  address: "interface_add",
  listen: "interface_check",
  path: "interface_check",
  admin: "interface_check",
  pods: "iptables",
  unseen: "iptables",
  config: "configmap",
};

type ServerLabels = LabelValues<(typeof server)[number]>;
type CacheLabels = LabelValues<(typeof cache)[number]>;

function serverLabels(address: ServerAddress): ServerLabels {
  return { server: serverLabel(address), zone: ".", view: "" };
}

/** The labels of each listening address, once. */
function servers(sources: MetricSources): ServerLabels[] {
  const byLabel = new Map(sources.listeners().map(({ address }) => [serverLabel(address), serverLabels(address)]));
  return [...byLabel.values()];
}

function cacheLabels(sources: MetricSources): CacheLabels[] {
  return servers(sources)
    .slice(0, 1)
    .map(({ server: first }) => ({ server: first, zones: ".", view: "" }));
}

function ofCache(value: (sources: MetricSources) => number) {
  return (sources: MetricSources, add: AddNumber<keyof CacheLabels>): void => {
    for (const labels of cacheLabels(sources)) add(labels, value(sources));
  };
}

function ofCacheByType(value: (sources: MetricSources, type: "success" | "denial") => number) {
  return (sources: MetricSources, add: AddNumber<keyof CacheLabels | "type">): void => {
    for (const labels of cacheLabels(sources)) {
      for (const type of ["success", "denial"] as const) add({ ...labels, type }, value(sources, type));
    }
  };
}

function readResponses(sources: MetricSources, add: AddNumber<keyof ServerLabels | "rcode" | "plugin">): void {
  const { names } = sources;
  const pluginLabels = names.replySources.map((source) => pluginOfSource[source] ?? "");
  for (const { address, replies } of sources.listeners()) {
    const labels = serverLabels(address);
    for (const rcode of rcodeLabels(names)) for (const plugin of pluginLabels) add({ ...labels, rcode, plugin }, 0);
    replies.forEach((count, slot) => {
      const rcode = rcodeLabel(names, Math.floor(slot / pluginLabels.length));
      add({ ...labels, rcode, plugin: pluginLabels[slot % pluginLabels.length] ?? "" }, count);
    });
  }
}
