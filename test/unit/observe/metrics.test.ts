import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { metricsPage } from "../../../scripts/metrics-page.ts";
import { createListenCounters, ReplySource, replySourceNames, typeSlot } from "../../../src/listen/listen-counters.ts";
import type { MetricSources } from "../../../src/observe/metric-sources.ts";
import { allMetrics, createMetrics } from "../../../src/observe/metrics.ts";
import { observe } from "../../../src/runtime/histogram.ts";
import { durationsFor } from "../../../src/upstream/server-counters.ts";
import { noteShed } from "../../../src/resolve/shed-counters.ts";
import { Rcode, RrType } from "../../../src/wire/codes.ts";
import { Fault } from "../../../src/wire/fault.ts";
import { describeWith, findCommand } from "../../support/program/requirements.ts";
import { createFakeSources, kubeDns, listenAddress } from "./fake-sources.ts";

const server = 'server="dns://169.254.20.10:53",zone=".",view=""';
const cache = 'server="dns://169.254.20.10:53",zones=".",view=""';

/** Scrapes like Prometheus: the value of each series by its full text. */
async function scrape(sources: MetricSources, compat: "coredns" | "off" = "coredns"): Promise<Map<string, number>> {
  const text = await createMetrics(sources, { compat }).metrics();
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  const series = lines.map((line) => /^(.*) (\S+)$/.exec(line)?.slice(1) ?? []);
  return new Map(series.map(([name = "", value]) => [name, Number(value)]));
}

const secondsBuckets =
  "0.00025 0.0005 0.001 0.002 0.004 0.008 0.016 0.032 0.064 0.128 0.256 0.512 1.024 2.048 4.096 8.192";
const bytesBuckets = "0 100 200 300 400 511 1023 2047 4095 8291 16000 32000 48000 64000";
const bucketFamilies = new Map([
  ["time", secondsBuckets.split(" ").map(Number)],
  ["size", bytesBuckets.split(" ").map(Number)],
]);

// Names, labels and buckets that others depend on: changing one breaks somebody's dashboard.
const promised = `
coredns_build_info                            gauge      version revision goversion
coredns_panics_total                          counter
coredns_plugin_enabled                        gauge      server zone view name
coredns_dns_requests_total                    counter    server zone view proto family type
coredns_dns_responses_total                   counter    server zone view rcode plugin
coredns_dns_do_requests_total                 counter    server zone view
coredns_dns_request_duration_seconds          time       server zone view
coredns_dns_request_size_bytes                size       server zone view proto
coredns_dns_response_size_bytes               size       server zone view proto
coredns_cache_entries                         gauge      server type zones view
coredns_cache_requests_total                  counter    server zones view
coredns_cache_hits_total                      counter    server type zones view
coredns_cache_misses_total                    counter    server zones view
coredns_cache_prefetch_total                  counter    server zones view
coredns_cache_served_stale_total              counter    server zones view
coredns_cache_drops_total                     counter    server zones view
coredns_cache_evictions_total                 counter    server type zones view
coredns_proxy_request_duration_seconds        time       proxy_name to rcode
coredns_proxy_healthcheck_failures_total      counter    proxy_name to
coredns_proxy_conn_cache_hits_total           counter    proxy_name to proto
coredns_proxy_conn_cache_misses_total         counter    proxy_name to proto
coredns_forward_max_concurrent_rejects_total  counter
coredns_forward_requests_total                counter    to
coredns_forward_responses_total               counter    to rcode
coredns_forward_request_duration_seconds      time       to rcode
coredns_forward_healthcheck_failures_total    counter    to
coredns_reload_failed_total                   counter
coredns_reload_version_info                   gauge      hash value
coredns_nodecache_setup_errors_total          counter    errortype
nodens_build_info                             gauge      version revision node_version
nodens_upstream_up                            gauge      to
nodens_upstream_transport_up                  gauge      to proto
nodens_upstream_sends_total                   counter    to proto
nodens_upstream_connect_errors_total          counter    to reason
nodens_upstream_flows_left_total              counter    to proto
nodens_upstream_transport_failures_total      counter    to proto
nodens_upstream_edns_dropped_total            counter    to
nodens_upstream_early_sends_total             counter    to result
nodens_coalesced_total                        counter
nodens_inflight                               gauge
nodens_shed_total                             counter    reason route class
nodens_client_malformed_total                 counter    reason
nodens_client_repeats_total                   counter    after first
nodens_cache_bytes                            gauge
nodens_answer_duration_seconds                time       source
nodens_eventloop_delay_seconds                time
nodens_udp_rx_dropped_total                   counter
nodens_ready                                  gauge
nodens_loop_detected                          gauge
nodens_setup_errors_total                     counter    kind
nodens_config_last_reload_successful          gauge
nodens_config_reload_failures_total           counter`
  .trim()
  .split("\n")
  .map((line) => line.split(/\s+/))
  .map(([name = "", kind = "", ...labels]) => ({ name, kind, labels }));

describe("the table of metrics", () => {
  test.each(promised)("has $name as $kind with its labels", ({ name, kind, labels }) => {
    const metric = allMetrics.find((candidate) => candidate.name === name);
    expect(metric?.labels.toSorted()).toEqual(labels.toSorted());
    expect(metric?.kind === "histogram" ? metric.bounds : metric?.kind).toEqual(bucketFamilies.get(kind) ?? kind);
  });

  test.each(allMetrics)("$name follows the rules for names", ({ name, kind, help }) => {
    expect(name).toMatch(/^(?:nodens|coredns)_[a-z_]+$/);
    expect(name.endsWith("_total")).toBe(kind === "counter");
    expect(help).toMatch(/\.$/);
  });

  test("has every name once", () => {
    expect(new Set(allMetrics.map(({ name }) => name)).size).toBe(allMetrics.length);
  });

  test("is what docs/metrics.md shows (npm run docs)", () => {
    const page = readFileSync(join(import.meta.dirname, "../../../docs/metrics.md"), "utf8");
    expect(page).toBe(metricsPage());
    for (const { name } of allMetrics) expect(page).toContain(`| \`${name}\` |`);
  });
});

describe("the first scrape", () => {
  test.each(allMetrics.filter(({ kind }) => kind === "counter"))("shows $name as 0", async ({ name }) => {
    const series = await scrape(createFakeSources().sources);
    const values = [...series].filter(([text]) => text.split("{")[0] === name).map(([, value]) => value);
    expect(values.length).toBeGreaterThan(0);
    expect(new Set(values)).toEqual(new Set([0]));
  });

  test.each([
    `coredns_dns_requests_total{${server},proto="tcp",family="1",type="HTTPS"}`,
    `coredns_dns_requests_total{${server},proto="udp",family="1",type="other"}`,
    `coredns_dns_responses_total{${server},rcode="SERVFAIL",plugin=""}`,
    `coredns_dns_responses_total{${server},rcode="other",plugin="forward"}`,
    `coredns_dns_request_duration_seconds_bucket{le="+Inf",${server}}`,
    `coredns_dns_request_size_bytes_bucket{le="511",${server},proto="udp"}`,
    `coredns_cache_hits_total{${cache},type="denial"}`,
    `coredns_proxy_request_duration_seconds_count{proxy_name="forward",to="10.96.0.10:53",rcode="NOERROR"}`,
    `coredns_forward_responses_total{to="10.96.0.10:53",rcode="REFUSED"}`,
    `coredns_nodecache_setup_errors_total{errortype="iptables"}`,
    `coredns_nodecache_setup_errors_total{errortype="iptables_lock"}`,
    `coredns_nodecache_setup_errors_total{errortype="interface_add"}`,
    `coredns_nodecache_setup_errors_total{errortype="interface_check"}`,
    `coredns_nodecache_setup_errors_total{errortype="configmap"}`,
    `nodens_client_malformed_total{reason="wrong_direction"}`,
    `nodens_dropped_queries_total{reason="denied"}`,
    `nodens_shed_total{reason="client",route="cluster",class="client"}`,
    `nodens_answer_duration_seconds_count{source="hit"}`,
    `nodens_answer_duration_seconds_count{source="miss"}`,
    `nodens_answer_duration_seconds_count{source="stale"}`,
    `nodens_upstream_connect_errors_total{to="10.96.0.10:53",reason="refused"}`,
    `nodens_upstream_ignored_replies_total{to="10.96.0.10:53",reason="wrong_question"}`,
  ])("shows %s as 0", async (text) => {
    expect((await scrape(createFakeSources().sources)).get(text)).toBe(0);
  });

  test("shows constant facts as 1", async () => {
    const series = await scrape(createFakeSources().sources);
    expect(series.get('coredns_build_info{version="0.1.0",revision="abc",goversion="v26.10.0"}')).toBe(1);
    expect(series.get('nodens_build_info{version="0.1.0",revision="abc",node_version="v26.10.0"}')).toBe(1);
    expect(series.get('coredns_reload_version_info{hash="sha256",value="00ff"}')).toBe(1);
    expect(series.get(`coredns_plugin_enabled{${server},name="cache"}`)).toBe(1);
    expect(series.get('nodens_life_cycle_state{state="ready"}')).toBe(1);
    expect(series.get('nodens_life_cycle_state{state="draining"}')).toBe(0);
    expect(series.get('nodens_attach_mode{mode="link-local"}')).toBe(1);
    expect(series.get('nodens_attach_mode{mode="intercept"}')).toBe(0);
    expect(series.get("nodens_has_fallback")).toBe(1);
  });

  test("works before a socket or an upstream exists", async () => {
    const { sources } = createFakeSources();
    const bare = { ...sources, listeners: () => [], routes: () => [], serverCounters: () => [] };
    expect((await scrape(bare)).get("nodens_coalesced_total")).toBe(0);
  });

  test("shows what dashboards need of the process", async () => {
    const series = await scrape(createFakeSources().sources);
    const needed = ["process_cpu_seconds_total", "process_resident_memory_bytes", "nodejs_eventloop_lag_seconds"];
    expect(needed.filter((name) => !series.has(name))).toEqual([]);
  });

  test("shows nothing for which the process would have to wake up again and again", async () => {
    const series = await scrape(createFakeSources().sources);
    expect([...series.keys()].filter((name) => name.startsWith("nodejs_eventloop_lag_"))).toEqual([
      "nodejs_eventloop_lag_seconds",
    ]);
  });
});

describe("a scrape", () => {
  test("shows what sockets counted, per address and protocol", async () => {
    const { sources, udp, tcp } = createFakeSources();
    udp.requestsByType[typeSlot(RrType.AAAA)] = 3;
    tcp.requestsByType[typeSlot(RrType.CAA)] = 2;
    udp.replies[Rcode.NXDOMAIN * replySourceNames.length + ReplySource.cache] = 5;
    tcp.replies[Rcode.NXDOMAIN * replySourceNames.length + ReplySource.stale] = 2;
    udp.replies[Rcode.BADVERS * replySourceNames.length + ReplySource.error] = 1;
    udp.faults[-Fault.labelType] = 4;
    tcp.openConnections = 7;
    const series = await scrape(sources);
    expect(series.get(`coredns_dns_requests_total{${server},proto="udp",family="1",type="AAAA"}`)).toBe(3);
    expect(series.get(`coredns_dns_requests_total{${server},proto="tcp",family="1",type="other"}`)).toBe(2);
    expect(series.get(`coredns_dns_responses_total{${server},rcode="NXDOMAIN",plugin="cache"}`)).toBe(7);
    expect(series.get(`coredns_dns_responses_total{${server},rcode="BADVERS",plugin=""}`)).toBe(1);
    expect(series.get('nodens_client_malformed_total{reason="label_type"}')).toBe(4);
    expect(series.get("nodens_tcp_connections_open")).toBe(7);
  });

  test("names IPv6 addresses and their family as CoreDNS does", async () => {
    const { sources } = createFakeSources();
    const counters = createListenCounters({ host: "fd00::10", port: 53 }, "udp");
    counters.requestsByType[typeSlot(RrType.A)] = 1;
    const series = await scrape({ ...sources, listeners: () => [counters] });
    const labels = 'server="dns://[fd00::10]:53",zone=".",view="",proto="udp",family="2",type="A"';
    expect(series.get(`coredns_dns_requests_total{${labels}}`)).toBe(1);
  });

  test("adds up both protocols of an address in the histogram of durations", async () => {
    const { sources, udp, tcp } = createFakeSources();
    for (const { durations } of [udp, tcp])
      for (const [source, histogram] of durations.entries()) observe(histogram, source === 0 ? 0.0003 : 0.3);
    const series = await scrape(sources);
    expect(series.get(`coredns_dns_request_duration_seconds_bucket{le="0.0005",${server}}`)).toBe(2);
    expect(series.get(`coredns_dns_request_duration_seconds_bucket{le="0.512",${server}}`)).toBe(10);
    expect(series.get(`coredns_dns_request_duration_seconds_count{${server}}`)).toBe(10);
    expect(series.get('nodens_answer_duration_seconds_count{source="hit"}')).toBe(2);
    expect(series.get('nodens_answer_duration_seconds_bucket{le="0.256",source="miss"}')).toBe(0);
  });

  test("adds up a server that serves two routes", async () => {
    const { sources, cluster, outside } = createFakeSources();
    cluster.sends.tcp = 10;
    outside.sends.tcp = 1;
    outside.sends.udp = 5;
    cluster.openFlows.tcp = 2;
    outside.openFlows.tcp = 1;
    observe(durationsFor(cluster, Rcode.NOERROR), 0.001);
    observe(durationsFor(outside, Rcode.NOERROR), 0.1);
    observe(durationsFor(outside, Rcode.SERVFAIL), 0.1);
    const series = await scrape(sources);
    const to = 'to="10.96.0.10:53"';
    expect(series.get(`nodens_upstream_sends_total{${to},proto="tcp"}`)).toBe(11);
    expect(series.get(`nodens_upstream_sends_total{${to},proto="udp"}`)).toBe(5);
    expect(series.get(`nodens_upstream_flows_open{${to},proto="tcp"}`)).toBe(3);
    expect(series.get(`coredns_forward_requests_total{${to}}`)).toBe(3);
    expect(series.get(`coredns_forward_responses_total{${to},rcode="NOERROR"}`)).toBe(2);
    const proxy = `proxy_name="forward",${to}`;
    expect(series.get(`coredns_proxy_request_duration_seconds_bucket{le="0.001",${proxy},rcode="NOERROR"}`)).toBe(1);
    expect(series.get(`coredns_proxy_request_duration_seconds_count{${proxy},rcode="NOERROR"}`)).toBe(2);
    expect(series.get(`coredns_proxy_request_duration_seconds_count{${proxy},rcode="SERVFAIL"}`)).toBe(1);
  });

  test("shows a server as down while one route holds it for down", async () => {
    const { sources, isUp } = createFakeSources();
    isUp.outside = false;
    expect((await scrape(sources)).get('nodens_upstream_up{to="10.96.0.10:53"}')).toBe(0);
  });

  test("tells of a transport that its routes want whether it works, and of no other", async () => {
    const { sources, failed } = createFakeSources();
    failed.tcp = true;
    const series = await scrape(sources);
    expect(series.get('nodens_upstream_transport_up{to="10.96.0.10:53",proto="tcp"}')).toBe(0);
    expect(series.get('nodens_upstream_transport_up{to="10.96.0.10:53",proto="udp"}')).toBe(1);
    const clusterOnly = { ...sources, routes: () => sources.routes().slice(0, 1) };
    expect([...(await scrape(clusterOnly)).keys()].filter((key) => /transport_up.*udp/.test(key))).toEqual([]);
  });

  test("puts codes without a mnemonic together, however many an upstream invents", async () => {
    const { sources, cluster } = createFakeSources();
    for (let rcode = 11; rcode < 4096; rcode += 1) observe(durationsFor(cluster, rcode), 0.001);
    const series = await scrape(sources);
    const known = [...series.keys()].filter((text) => text.startsWith("coredns_forward_responses_total{"));
    expect(known).toHaveLength(Object.keys(Rcode).length + 1);
    // BADVERS is one of those 4085, and has a name.
    expect(series.get('coredns_forward_responses_total{to="10.96.0.10:53",rcode="other"}')).toBe(4084);
  });

  test("reads the numbers of the cache and the resolver", async () => {
    const { sources, cacheCounters, resolver, cluster } = createFakeSources();
    Object.assign(cacheCounters, { answerHits: 3, denialHits: 2, misses: 1, denialEvictions: 4 });
    Object.assign(resolver, { prefetches: 5, staleAnswers: 2, staleAgeSeconds: 7.5 });
    for (let shed = 0; shed < 6; shed += 1) noteShed(resolver.shed, "cluster", "client", "waiters");
    cluster.ignored.malformed = 1;
    cluster.ignored["wrong-question"] = 2;
    cluster.ignored["unknown-id"] = 4;
    const usage = (kind: string) =>
      kind === "answer" ? { entries: 7, sizeBytes: 100 } : { entries: 8, sizeBytes: 20 };
    const series = await scrape({ ...sources, cache: () => ({ usage, counters: cacheCounters }) });
    expect(series.get(`coredns_cache_requests_total{${cache}}`)).toBe(6);
    expect(series.get(`coredns_cache_hits_total{${cache},type="success"}`)).toBe(3);
    expect(series.get(`coredns_cache_entries{${cache},type="denial"}`)).toBe(8);
    expect(series.get(`coredns_cache_evictions_total{${cache},type="denial"}`)).toBe(4);
    expect(series.get(`coredns_cache_prefetch_total{${cache}}`)).toBe(5);
    expect(series.get(`coredns_cache_drops_total{${cache}}`)).toBe(3);
    expect(series.get("coredns_forward_max_concurrent_rejects_total")).toBe(6);
    expect(series.get("nodens_cache_bytes")).toBe(120);
    expect(series.get("nodens_stale_seconds_sum")).toBe(7.5);
    expect(series.get("nodens_stale_seconds_count")).toBe(2);
  });

  test("shows new numbers of the same registry, not sums of scrapes", async () => {
    const { sources, resolver } = createFakeSources();
    const registry = createMetrics(sources, { compat: "coredns" });
    resolver.coalesced = 2;
    await registry.metrics();
    resolver.coalesced = 3;
    expect(await registry.metrics()).toContain("\nnodens_coalesced_total 3\n");
  });

  test("follows a reload that takes a server out of its routes: it is no longer up or down, its counts stay", async () => {
    const { sources, cluster } = createFakeSources();
    cluster.sends.udp = 9;
    const registry = createMetrics({ ...sources, routes: () => [] }, { compat: "coredns" });
    const text = await registry.metrics();
    expect(text).toContain('\nnodens_upstream_sends_total{to="10.96.0.10:53",proto="udp"} 9\n');
    expect(text).not.toContain("nodens_upstream_up{");
  });

  test("without compatible names shows none of them, and all of our own", async () => {
    const names = [...(await scrape(createFakeSources().sources, "off")).keys()];
    expect(names.filter((name) => name.startsWith("coredns_"))).toEqual([]);
    expect(names).toContain('nodens_upstream_up{to="10.96.0.10:53"}');
  });
});

describeWith(["promtool"], "promtool", () => {
  test("has nothing to say about a full scrape", async () => {
    const { sources, udp, cluster } = createFakeSources();
    for (const histogram of udp.durations) observe(histogram, 0.02);
    observe(durationsFor(cluster, Rcode.SERVFAIL), 9);
    const works = { isFailed: () => false };
    const server = { address: kubeDns, health: { isUp: () => true }, paths: { udp: works, tcp: works } };
    const routes = [{ name: "cluster", transport: "tcp" as const, servers: [server] }];
    const listeners = [udp, createListenCounters({ ...listenAddress, host: "fd00::10" }, "tcp")];
    const full = { ...sources, routes: () => routes, listeners: () => listeners };
    const input = await createMetrics(full, { compat: "coredns" }).metrics();
    const promtool = findCommand("promtool") ?? "promtool";
    expect(execFileSync(promtool, ["check", "metrics"], { input, encoding: "utf8" })).toBe("");
  });
});
