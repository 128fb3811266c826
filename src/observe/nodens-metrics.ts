/*
 * What CoreDNS has no name for: flows, overload, the process, and the time that each kind of answer takes.
 */
import type { ListenCounters } from "../listen/listen-counters.ts";
import { timeBoundsSeconds } from "../runtime/histogram.ts";
import type { LifeState } from "../runtime/life-cycle.ts";
import { formatServerAddress } from "../runtime/server-address.ts";
import type { ServerCounters } from "../upstream/server-counters.ts";
import type { Transport } from "../wire/transport.ts";
import { type AddNumber, counter, distribution, gauge, type Metric } from "./metric.ts";
import { wordLabel } from "./metric-labels.ts";
import type { MetricSources } from "./metric-sources.ts";

const lifeStates: readonly LifeState[] = ["starting", "ready", "draining", "gone"];

/** Losses that mean there was no flow at all. */
const connectErrors = ["refused", "unreachable", "exhausted"] as const;
/** The other losses. */
const unanswered = ["timeout", "closed", "forgery", "unusable", "stopped"] as const;

/** All metrics of our own. */
export const nodensMetrics: readonly Metric[] = [
  gauge("nodens_build_info", ["version", "revision", "node_version"], "What is running.", ({ build }, add) =>
    add({ version: build.version, revision: build.revision, node_version: build.nodeVersion }, 1),
  ),
  gauge(
    "nodens_life_cycle_state",
    ["state"],
    "1 for the state that nodens is in, 0 for the others.",
    (sources, add) => {
      for (const state of lifeStates) add({ state }, Number(state === sources.lifeCycleState()));
    },
  ),
  gauge("nodens_ready", [], "1 while nodens wants queries: while /readyz is 200.", (sources, add) =>
    add({}, Number(sources.isReady())),
  ),

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

  gauge("nodens_cache_bytes", [], "Memory that cache entries take.", (sources, add) => {
    for (const kind of ["answer", "denial"] as const) add({}, sources.cache().usage(kind).sizeBytes);
  }),
  distribution("nodens_stale_seconds", [], [], "How long past its expiry a stale answer was given.", (sources, add) => {
    const { staleAnswers, staleAgeSeconds } = sources.resolver();
    add({}, { bounds: [], counts: Float64Array.of(staleAnswers), sum: staleAgeSeconds });
  }),
  counter("nodens_prefetches_total", [], "Hot names asked again before they expired.", (sources, add) =>
    add({}, sources.resolver().prefetches),
  ),
  counter("nodens_cached_failures_total", [], "Queries answered from the memory of recent failures.", (sources, add) =>
    add({}, sources.resolver().cachedFailures),
  ),
  counter(
    "nodens_delayed_rechecks_total",
    [],
    "Queries given a stale answer without asking, because enough names that had failed were being asked again.",
    (sources, add) => add({}, sources.resolver().delayedRechecks),
  ),
  counter("nodens_unkept_replies_total", [], "Upstream replies that were relayed but not cached.", (sources, add) =>
    add({}, sources.resolver().unkeptReplies),
  ),
  counter("nodens_coalesced_total", [], "Queries that joined one already in flight.", (sources, add) =>
    add({}, sources.resolver().coalesced),
  ),
  counter(
    "nodens_short_circuit_total",
    ["rule", "suffix"],
    "Suffix queries denied without asking, by rule and by the suffix that the query probably came with. The rule denied_name is a denial of the other address type; it has no suffix.",
    (sources, add) => {
      const { searchRules } = sources.names;
      add({ rule: searchRules.deniedName.label, suffix: "" }, sources.cache().counters.sharedDenialHits);
      for (const [rule, bySuffix] of entriesOf(sources.resolver().denials)) {
        for (const [suffix, count] of Object.entries(bySuffix)) add({ rule: searchRules[rule].label, suffix }, count);
      }
    },
  ),
  counter(
    "nodens_outside_answers_total",
    [],
    "Suffix queries answered with the outside name (settings: search.answerOutsideName).",
    (sources, add) => add({}, sources.resolver().outsideAnswers),
  ),
  counter("nodens_rule_checks_total", ["rule"], "Denials by a rule that were also asked upstream.", (sources, add) => {
    const { searchRules } = sources.names;
    for (const [rule, { checks }] of entriesOf(sources.searchRules().counters))
      add({ rule: searchRules[rule].label }, checks);
  }),
  counter(
    "nodens_rule_disagreements_total",
    ["rule"],
    "Checks in which upstream had the name that a rule denied. Each switches its rule off for ten minutes.",
    (sources, add) => {
      const { searchRules } = sources.names;
      for (const [rule, { disagreements }] of entriesOf(sources.searchRules().counters))
        add({ rule: searchRules[rule].label }, disagreements);
    },
  ),
  gauge(
    "nodens_rule_on",
    ["rule"],
    "1 while a rule is in use: the settings allow it, the zone has shown its schema, and nothing has contradicted the rule.",
    (sources, add) => {
      const { counters, isOn } = sources.searchRules();
      for (const [rule] of entriesOf(counters))
        add({ rule: sources.names.searchRules[rule].label }, isOn(rule) ? 1 : 0);
    },
  ),
  gauge("nodens_inflight", [], "Questions being asked upstream at this moment.", (sources, add) =>
    add({}, sources.sharedQuestions().inFlightCount()),
  ),
  gauge("nodens_waiters", [], "Client queries waiting for upstream at this moment.", (sources, add) =>
    add({}, sources.sharedQuestions().waiterCount()),
  ),
  counter(
    "nodens_shed_total",
    ["reason", "route", "class"],
    "Questions, and queries that would have waited for one, over a bound of `limits`: too many questions on the route (inflight), too many waiters (waiters), too much of one client (client), or no turn in time (late). By for whom the question was. A client got a stale answer, over TCP SERVFAIL, over UDP silence.",
    readShed,
  ),
  gauge(
    "nodens_route_questions",
    ["route", "state"],
    "Questions on a route, now: before its servers (under_way), or waiting for their turn (waiting).",
    (sources, add) => {
      for (const { name: route } of sources.routes()) {
        add({ route, state: "under_way" }, sources.schedule().underWayCount(route));
        add({ route, state: "waiting" }, sources.schedule().waitingCount(route));
      }
    },
  ),
  gauge("nodens_loop_detected", [], "1 while what nodens forwards comes back to it.", (sources, add) =>
    add({}, Number(sources.isLooping())),
  ),

  gauge("nodens_upstream_up", ["to"], "1 while a server answers, 0 while a route considers it down.", readUpstreamUp),
  gauge(
    "nodens_upstream_transport_up",
    ["to", "proto"],
    "1 while the transport works over which a server is asked first, 0 while questions go over the other one.",
    readTransportUp,
  ),
  counter(
    "nodens_upstream_sends_total",
    ["to", "proto"],
    "Queries sent to a server, repetitions and probes included.",
    (sources, add) =>
      forServers(sources, (to, { sends }) =>
        sources.names.transports.forEach((proto) => add({ to, proto }, sends[proto])),
      ),
  ),
  counter(
    "nodens_upstream_connect_errors_total",
    ["to", "reason"],
    "Queries lost because there was no flow: nobody listens, no route to it, or no port or descriptor left on this node.",
    (sources, add) =>
      forServers(sources, (to, { losses }) => connectErrors.forEach((reason) => add({ to, reason }, losses[reason]))),
  ),
  counter(
    "nodens_upstream_unanswered_total",
    ["to", "reason"],
    "Queries sent but not answered: too late, the connection closed, the socket was given up because somebody was guessing replies, or nodens stopped.",
    (sources, add) =>
      forServers(sources, (to, { losses }) => unanswered.forEach((reason) => add({ to, reason }, losses[reason]))),
  ),
  counter(
    "nodens_upstream_ignored_replies_total",
    ["to", "reason"],
    "Packets from a server's address that answered no open question.",
    (sources, add) =>
      forServers(sources, (to, { ignored }) => {
        for (const [reason, count] of Object.entries(ignored)) add({ to, reason: wordLabel(reason) }, count);
      }),
  ),
  counter(
    "nodens_upstream_flows_left_total",
    ["to", "proto"],
    "Flows that were left because they owed answers and said nothing: what they stood on is gone, or packets are lost.",
    (sources, add) =>
      forServers(sources, (to, { silentFlows }) =>
        sources.names.transports.forEach((proto) => add({ to, proto }, silentFlows[proto])),
      ),
  ),
  counter(
    "nodens_upstream_transport_failures_total",
    ["to", "proto"],
    "How often a transport was found not to work, so that questions go over the other one until it does again.",
    (sources, add) =>
      forServers(sources, (to, { failedTransports }) =>
        sources.names.transports.forEach((proto) => add({ to, proto }, failedTransports[proto])),
      ),
  ),
  counter(
    "nodens_upstream_edns_dropped_total",
    ["to"],
    "How often a server was found to answer only questions without EDNS. It is asked so for a while.",
    (sources, add) => forServers(sources, (to, { ednsDropped }) => add({ to }, ednsDropped)),
  ),
  counter(
    "nodens_upstream_early_sends_total",
    ["to", "result"],
    "Questions that others overtook, or whose answer is overdue while packets are being lost, and that were sent again (sent), or would have been if the budget had had room (over_budget); of those that were sent, the ones answered at once, before the earlier send (helped), as happens when packets are being lost.",
    (sources, add) =>
      forServers(sources, (to, { earlySends }) => {
        add({ to, result: "sent" }, earlySends.sent);
        add({ to, result: "helped" }, earlySends.helped);
        add({ to, result: "over_budget" }, earlySends.overBudget);
      }),
  ),
  gauge(
    "nodens_upstream_flows_open",
    ["to", "proto"],
    "Open flows to a server. Each is one conntrack entry.",
    (sources, add) =>
      forServers(sources, (to, { openFlows }) =>
        sources.names.transports.forEach((proto) => add({ to, proto }, openFlows[proto])),
      ),
  ),
  counter("nodens_upstream_flows_opened_total", ["to", "proto"], "Flows opened to a server.", (sources, add) =>
    forServers(sources, (to, { openedFlows }) =>
      sources.names.transports.forEach((proto) => add({ to, proto }, openedFlows[proto])),
    ),
  ),

  distribution(
    "nodens_eventloop_delay_seconds",
    [],
    timeBoundsSeconds,
    "How late timers run. Up to a millisecond is rounding.",
    (sources, add) => add({}, sources.eventLoopDelays()),
  ),
  counter(
    "nodens_setup_errors_total",
    ["kind"],
    "Problems with setting up the node, each counted when it appears: nft (missing, or rules refused), nft_owner (no tables with an owner), permission (no NET_ADMIN), address, listen (address taken), path (packets do not arrive), pods (a rule of the node drops packets of some pods), unseen (nothing arrives to be intercepted), admin (address for operators taken), config.",
    (sources, add) => {
      for (const [kind, count] of Object.entries(sources.setupErrors())) add({ kind }, count);
    },
  ),
  gauge("nodens_attach_mode", ["mode"], "1 for attach.mode as it is set, 0 for the others.", (sources, add) => {
    for (const mode of sources.names.attachModes) add({ mode }, Number(mode === sources.attachMode()));
  }),
  gauge("nodens_attached", [], "1 while everything that attach.mode asks for is in place.", (sources, add) =>
    add({}, Number(sources.isAttached())),
  ),
  gauge(
    "nodens_failopen",
    [],
    "1 while pods' questions go to kube-dns directly, although attach.mode brings them here: test packets are not answered, or nodens holds back.",
    (sources, add) => add({}, Number(sources.isFailOpen())),
  ),
  gauge(
    "nodens_has_fallback",
    [],
    "1 where others answer the pods of this node while nodens is away: kube-dns, or another node's nodens. 0 where nobody does: without the rules that send questions on to kube-dns, or where a question of nodens's own that they sent on was not answered, as with eBPF data planes.",
    (sources, add) => add({}, Number(sources.hasFallback())),
  ),
  gauge(
    "nodens_blocked_pods",
    ["packets"],
    "Pods that ask an address of nodens's own, and whose questions a rule of the node drops on their way in (questions), or the replies on their way out (replies); read every five seconds. Of what is intercepted, nodens_intercept_pods tells.",
    (sources, add) => {
      for (const [packets, pods] of entriesOf(sources.blockedPods())) add({ packets }, pods);
    },
  ),
  gauge(
    "nodens_intercepted_addresses",
    [],
    "Addresses of the kube-dns Service that are intercepted now. 0 unless attach.mode is intercept.",
    (sources, add) => add({}, sources.intercepted().addresses),
  ),
  counter(
    "nodens_intercept_packets_total",
    ["outcome"],
    "Packets as the kernel counted them for the interception, read once a minute: questions that were redirected (intercepted), replies that left (answered), questions left to kube-dns because no replies leave for their pod (fell_back) or because nodens would not answer their source (unserved), and redirected packets that were tracked although they should not be (tracked).",
    (sources, add) => {
      const { pods } = sources.intercepted();
      for (const outcome of interceptOutcomes) add({ outcome }, pods?.packets[outcome] ?? 0);
    },
  ),
  gauge(
    "nodens_intercept_pods",
    ["state"],
    "Pods that ask kube-dns because no replies leave for them (fallen), and whose packets are tracked because untracked replies do not leave (tracked), by their addresses; read once a minute.",
    (sources, add) => {
      const { pods } = sources.intercepted();
      add({ state: "fallen" }, pods?.fallenPods ?? 0);
      add({ state: "tracked" }, pods?.trackedPods ?? 0);
    },
  ),
  counter(
    "nodens_shadow_queries_total",
    ["source"],
    "Queries of pods that were seen where attach.mode is observe, by where nodens would have got the reply: cache, rule, upstream, stale, error.",
    ({ names, shadow }, add) => {
      for (const [index, source] of names.replySources.entries()) add({ source }, shadow()?.queries[index] ?? 0);
    },
  ),
  counter(
    "nodens_shadow_upstream_questions_total",
    [],
    "Questions that nodens would have sent upstream for the queries of nodens_shadow_queries_total; the rest kube-dns would have been spared.",
    ({ shadow }, add) => add({}, shadow()?.upstreamQuestions ?? 0),
  ),
  counter(
    "nodens_shadow_flows_total",
    [],
    "Entries of connection tracking that these queries took: one for each client, port and address that is asked.",
    ({ shadow }, add) => add({}, shadow()?.flows ?? 0),
  ),
  counter(
    "nodens_shadow_unanswered_total",
    [],
    "Queries to which no reply was seen within 15 seconds, or before the pod asked again.",
    ({ shadow }, add) => add({}, shadow()?.unanswered ?? 0),
  ),
  counter(
    "nodens_shadow_replies_total",
    ["verdict"],
    "Answers that nodens would have given, beside those that pods got: same, partial (some of the records, as servers give them by turns), changed (upstream had said so within the TTL), stale, truncated (not comparable), spared (upstream failed), unheard (nodens would have had to ask), assumed (a parent was taken to be absent), wrong.",
    ({ names, shadow }, add) => {
      for (const verdict of names.shadowVerdicts) add({ verdict }, shadow()?.verdicts[verdict] ?? 0);
    },
  ),
  counter(
    "nodens_shadow_copies_total",
    ["outcome"],
    "Copies of packets, by what became of them: used, dropped (no room: all other figures are then of a part of the traffic), duplicate, unmatched (a reply to a query that was not seen), malformed, fragment, cut, lost_stream (a connection over TCP that could not be followed).",
    ({ names, shadow }, add) => {
      for (const outcome of names.copyOutcomes) add({ outcome }, shadow()?.copies[outcome] ?? 0);
    },
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
  gauge("nodens_config_last_reload_successful", [], "1 unless the last new settings were refused.", (sources, add) =>
    add({}, Number(sources.reloads().wasLastSuccessful)),
  ),
  counter(
    "nodens_config_reloads_total",
    [],
    "Reloads that succeeded: new settings were applied while running.",
    (sources, add) => add({}, sources.reloads().succeeded),
  ),
  counter(
    "nodens_config_reload_failures_total",
    [],
    "Reloads that failed: the new settings were refused.",
    (sources, add) => add({}, sources.reloads().failed),
  ),
];

/** What a source of replies means to the client. */
const answerKinds: Readonly<Record<string, string>> = { cache: "hit", upstream: "miss" };

function ofListeners(value: (listener: ListenCounters) => number) {
  return (sources: MetricSources, add: AddNumber<never>): void => {
    for (const listener of sources.listeners()) add({}, value(listener));
  };
}

function forServers(sources: MetricSources, report: (to: string, counters: ServerCounters) => void): void {
  for (const { address, counters } of sources.serverCounters()) report(formatServerAddress(address), counters);
}

/** A server of several routes is up when each of them says so: each has its own experience with it. */
function readUpstreamUp(sources: MetricSources, add: AddNumber<"to">): void {
  const upByServer = new Map<string, boolean>();
  for (const { address, health } of sources.routes().flatMap((route) => route.servers)) {
    const to = formatServerAddress(address);
    upByServer.set(to, (upByServer.get(to) ?? true) && health.isUp());
  }
  for (const [to, isUp] of upByServer) add({ to }, Number(isUp));
}

/** Of the transports that a server's routes want: a path that nobody wants is not tried, and may have failed long ago. */
function readTransportUp(sources: MetricSources, add: AddNumber<"to" | "proto">): void {
  const upByPath = new Map<string, { to: string; proto: Transport; isUp: boolean }>();
  for (const { transport: proto, servers } of sources.routes()) {
    for (const { address, paths } of servers) {
      const to = formatServerAddress(address);
      const isUp = upByPath.get(`${proto} ${to}`)?.isUp !== false && !paths[proto].isFailed();
      upByPath.set(`${proto} ${to}`, { to, proto, isUp });
    }
  }
  for (const { to, proto, isUp } of upByPath.values()) add({ to, proto }, Number(isUp));
}

/** The entries of a record whose keys are a closed set. */
function entriesOf<Key extends string, Value>(record: Readonly<Record<Key, Value>>): [Key, Value][] {
  return Object.entries(record) as [Key, Value][];
}

/** Every route in force, so that a first one shows as an increase, and those before it on which something was let go. */
function readShed({ resolver, routes, names }: MetricSources, add: AddNumber<"reason" | "route" | "class">): void {
  const { shed } = resolver();
  for (const route of new Set([...routes().map(({ name }) => name), ...shed.keys()])) {
    for (const name of names.questionClasses) {
      for (const reason of names.shedReasons) add({ reason, route, class: name }, shed.get(route)?.[name][reason] ?? 0);
    }
  }
}

/** Of the counters in the kernel, those that are worth a series. */
const interceptOutcomes = ["intercepted", "answered", "fell_back", "unserved", "tracked"] as const;
