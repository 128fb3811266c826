/*
 * What `attach.mode: observe` has seen, and what nodens would have answered.
 */
import { counter, type Metric } from "./metric.ts";

/** Metrics of the shadow: all 0 unless `attach.mode` is `observe`. */
export const shadowMetrics: readonly Metric[] = [
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
];
