/*
 * Our histograms in the form in which prom-client's registry takes a metric. Its own Histogram cannot be given bucket counts,
 * only single values, and each of those costs a check and a lookup of labels: too much for every query.
 */
import type { Histogram } from "../runtime/histogram.ts";

/** What the registry calls at a scrape. */
export interface HistogramAdapter {
  readonly name: string;
  get(): HistogramSamples;
}

/** A histogram as samples: cumulative `_bucket` values with their upper bound `le`, `_sum` and `_count`. */
interface HistogramSamples {
  readonly name: string;
  readonly help: string;
  readonly type: "histogram";
  readonly aggregator: "sum";
  readonly values: readonly Sample[];
}

interface Sample {
  readonly metricName: string;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
}

type Labels = Readonly<Record<string, string>>;

/**
 * Creates an adapter. At each scrape `read` reports histograms; those with equal labels are added up. All must have `bounds`.
 */
export function createHistogramAdapter(
  { name, help, bounds }: { readonly name: string; readonly help: string; readonly bounds: readonly number[] },
  read: (add: (labels: Labels, histogram?: Histogram) => void) => void,
): HistogramAdapter {
  function get(): HistogramSamples {
    const totals = new Map<string, Total>();
    read((labels, histogram) => {
      const key = JSON.stringify(Object.entries(labels));
      let total = totals.get(key);
      if (total === undefined) {
        total = { labels, counts: new Float64Array(bounds.length + 1), sum: 0 };
        totals.set(key, total);
      }
      if (histogram !== undefined) addTo(total, histogram);
    });
    const values = [...totals.values()].flatMap((total) => samplesOf(name, bounds, total));
    return { name, help, type: "histogram", aggregator: "sum", values };
  }
  return { name, get };
}

interface Total {
  readonly labels: Labels;
  readonly counts: Float64Array;
  sum: number;
}

function addTo(total: Total, histogram: Histogram): void {
  histogram.counts.forEach((count, bucket) => {
    total.counts[bucket] = (total.counts[bucket] ?? 0) + count;
  });
  total.sum += histogram.sum;
}

function samplesOf(name: string, bounds: readonly number[], { labels, counts, sum }: Total): Sample[] {
  let seen = 0;
  const buckets = Array.from(counts, (count, bucket) => {
    seen += count;
    return { metricName: `${name}_bucket`, labels: { le: bounds[bucket] ?? "+Inf", ...labels }, value: seen };
  });
  return [
    ...buckets,
    { metricName: `${name}_sum`, labels, value: sum },
    { metricName: `${name}_count`, labels, value: seen },
  ];
}
