/*
 * Questions under way to upstream, who waits for them, and what was let go over a bound.
 */
import type { MetricSources } from "./metric-sources.ts";
import { type AddNumber, counter, gauge, type Metric } from "./metric.ts";

/** Metrics of questions to upstream. */
export const questionMetrics: readonly Metric[] = [
  counter("nodens_coalesced_total", [], "Queries that joined one already in flight.", (sources, add) =>
    add({}, sources.resolver().coalesced),
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
];

/** Every route in force, so that a first one shows as an increase, and those before it on which something was let go. */
function readShed({ resolver, routes, names }: MetricSources, add: AddNumber<"reason" | "route" | "class">): void {
  const { shed } = resolver();
  for (const route of new Set([...routes().map(({ name }) => name), ...shed.keys()])) {
    for (const name of names.questionClasses) {
      for (const reason of names.shedReasons) add({ reason, route, class: name }, shed.get(route)?.[name][reason] ?? 0);
    }
  }
}
