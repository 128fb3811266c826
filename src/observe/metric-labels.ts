/*
 * How addresses and the names of other folders are written as label values. Only closed sets and configured addresses pass through
 * here.
 */
import { isIPv6 } from "node:net";
import type { Histogram } from "../runtime/histogram.ts";
import { formatServerAddress, type ServerAddress } from "../runtime/server-address.ts";
import type { MetricNames } from "./metric-sources.ts";

/** CoreDNS's name of a listening address: "dns://169.254.20.10:53". */
export function serverLabel(address: ServerAddress): string {
  return `dns://${formatServerAddress(address)}`;
}

/** CoreDNS's number of an address family. */
export function familyLabel(address: ServerAddress): "1" | "2" {
  return isIPv6(address.host) ? "2" : "1";
}

/** The label of response codes without a mnemonic: an upstream could send thousands, and each would be a series. */
const otherLabel = "other";

/** The mnemonic of a response code, or "other". */
export function rcodeLabel(names: MetricNames, rcode: number): string {
  return Object.entries(names.rcodes).find(([, code]) => code === rcode)?.[0] ?? otherLabel;
}

/** Every value that rcodeLabel returns. */
export function rcodeLabels(names: MetricNames): string[] {
  return [...Object.keys(names.rcodes), otherLabel];
}

/** "wrongDirection" and "wrong-direction" as "wrong_direction". */
export function wordLabel(name: string): string {
  return name.replaceAll("-", "_").replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** How many values a histogram holds. */
export function countOf(histogram: Histogram): number {
  return histogram.counts.reduce((sum, count) => sum + count, 0);
}

/** The entries of a record whose keys are a closed set. */
export function entriesOf<Key extends string, Value>(record: Readonly<Record<Key, Value>>): [Key, Value][] {
  return Object.entries(record) as [Key, Value][];
}
