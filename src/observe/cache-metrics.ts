/*
 * What is remembered: its size, and what was answered from it or kept out of it.
 */
import { counter, distribution, gauge, type Metric } from "./metric.ts";

/** Metrics of the cache. */
export const cacheMetrics: readonly Metric[] = [
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
];
