/*
 * A metric as a row of a table: what it is called, what it means, and how it is read from plain numbers at the moment of a
 * scrape. Nothing is remembered in between, so a series whose source is gone is gone as well.
 */
import { Counter, Gauge, type Metric as RegistryMetric, type Registry } from "prom-client";
import type { Histogram } from "../runtime/histogram.ts";
import { createHistogramAdapter } from "./histogram-adapter.ts";
import type { MetricSources } from "./metric-sources.ts";

/** A row. `labels` are all label names; their values come from closed sets and configured addresses, never from a query. */
export type Metric = PlainMetric | HistogramMetric;

/** A number per set of labels. */
interface PlainMetric extends MetricHead {
  readonly kind: "counter" | "gauge";
  read(sources: MetricSources, add: AddNumber<string>): void;
}

/** A distribution per set of labels. */
interface HistogramMetric extends MetricHead {
  readonly kind: "histogram";
  /** Upper bounds of the buckets, ascending, in the unit of the name. The last, +Inf, is implied. */
  readonly bounds: readonly number[];
  read(sources: MetricSources, add: AddHistogram<string>): void;
}

interface MetricHead {
  readonly name: string;
  readonly labels: readonly string[];
  readonly help: string;
}

/** Label values by label name. */
export type LabelValues<Label extends string> = Readonly<Record<Label, string>>;

/** Reports a number. Those with equal labels are added up. */
export type AddNumber<Label extends string> = (labels: LabelValues<Label>, value: number) => void;

/** Reports a distribution; without `histogram`, an empty one. Those with equal labels are added up. */
export type AddHistogram<Label extends string> = (labels: LabelValues<Label>, histogram?: Histogram) => void;

/** A row for a number that only grows. */
export function counter<const Label extends string = never>(
  name: string,
  labels: readonly Label[],
  help: string,
  read: (sources: MetricSources, add: AddNumber<Label>) => void,
): Metric {
  return { kind: "counter", name, labels, help, read };
}

/** A row for a number that grows and falls. */
export function gauge<const Label extends string = never>(
  name: string,
  labels: readonly Label[],
  help: string,
  read: (sources: MetricSources, add: AddNumber<Label>) => void,
): Metric {
  return { kind: "gauge", name, labels, help, read };
}

/** A row for a distribution. Every histogram that is reported has these bounds. */
export function distribution<const Label extends string = never>(
  name: string,
  labels: readonly Label[],
  bounds: readonly number[],
  help: string,
  read: (sources: MetricSources, add: AddHistogram<Label>) => void,
): Metric {
  return { kind: "histogram", name, labels, bounds, help, read };
}

/** Makes a registry show a metric. */
export function registerMetric(registry: Registry, metric: Metric, sources: MetricSources): void {
  if (metric.kind === "histogram") {
    const adapter = createHistogramAdapter(metric, (add) => metric.read(sources, add));
    // The registry asks no more of a metric than a name and get(); its type asks for prom-client's own classes.
    registry.registerMetric(adapter as unknown as RegistryMetric);
    return;
  }
  const shown = metric.kind === "counter" ? Counter : Gauge;
  const { name, help, labels } = metric;
  new shown({
    name,
    help,
    labelNames: [...labels],
    registers: [registry],
    collect() {
      this.reset();
      metric.read(sources, (values, value) => this.inc(values, value));
    },
  });
}
