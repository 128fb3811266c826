/*
 * What nodens itself is doing: what runs, in which state, how late its timers are, and its settings.
 */
import { timeBoundsSeconds } from "../runtime/histogram.ts";
import type { LifeState } from "../runtime/life-cycle.ts";
import { counter, distribution, gauge, type Metric } from "./metric.ts";

const lifeStates: readonly LifeState[] = ["starting", "ready", "draining", "gone"];

/** Metrics of nodens itself. */
export const processMetrics: readonly Metric[] = [
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
  gauge("nodens_loop_detected", [], "1 while what nodens forwards comes back to it.", (sources, add) =>
    add({}, Number(sources.isLooping())),
  ),
  distribution(
    "nodens_eventloop_delay_seconds",
    [],
    timeBoundsSeconds,
    "How late timers run. Up to a millisecond is rounding.",
    (sources, add) => add({}, sources.eventLoopDelays()),
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
