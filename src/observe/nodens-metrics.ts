/*
 * All metrics that CoreDNS has no name for, a file for each subject.
 */
import { attachmentMetrics } from "./attachment-metrics.ts";
import { cacheMetrics } from "./cache-metrics.ts";
import { clientMetrics } from "./client-metrics.ts";
import { processMetrics } from "./process-metrics.ts";
import { questionMetrics } from "./question-metrics.ts";
import { searchMetrics } from "./search-metrics.ts";
import { shadowMetrics } from "./shadow-metrics.ts";
import { upstreamMetrics } from "./upstream-metrics.ts";
import type { Metric } from "./metric.ts";

/** All metrics of our own, in the order of the page. */
export const nodensMetrics: readonly Metric[] = [
  ...processMetrics,
  ...clientMetrics,
  ...cacheMetrics,
  ...searchMetrics,
  ...questionMetrics,
  ...upstreamMetrics,
  ...attachmentMetrics,
  ...shadowMetrics,
];
