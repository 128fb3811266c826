/*
 * The servers that are asked: sends, losses, flows, and whether they answer.
 */
import { formatServerAddress } from "../runtime/server-address.ts";
import type { ServerCounters } from "../upstream/server-counters.ts";
import type { Transport } from "../wire/transport.ts";
import { wordLabel } from "./metric-labels.ts";
import type { MetricSources } from "./metric-sources.ts";
import { type AddNumber, counter, gauge, type Metric } from "./metric.ts";

/** Losses that mean there was no flow at all. */
const connectErrors = ["refused", "unreachable", "exhausted"] as const;
/** The other losses. */
const unanswered = ["timeout", "closed", "forgery", "unusable", "stopped"] as const;

/** Metrics of the servers. */
export const upstreamMetrics: readonly Metric[] = [
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
];

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
