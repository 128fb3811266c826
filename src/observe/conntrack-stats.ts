/*
 * What the node's connection tracking threw away, and how full its table is. /proc/net/stat/nf_conntrack has one line for each processor below a
 * line of names, all in hexadecimal digits; they tell of the network namespace that nodens is in, which is the node's own with hostNetwork.
 */
import type { ReadSystemFile } from "./receive-drops.ts";

/** What was lost since the node was started. */
export interface ConntrackLosses {
  readonly drop: number;
  readonly insertFailed: number;
  readonly earlyDrop: number;
}

/** The same, and what there is. */
export interface ConntrackStats extends ConntrackLosses {
  /** Entries in the table, and how many it may hold. */
  readonly entries: number;
  readonly limit: number;
}

/** Reads all; undefined where nothing is tracked or the files cannot be read. */
export function readConntrackStats(readFile: ReadSystemFile): ConntrackStats | undefined {
  const losses = readConntrackLosses(readFile);
  return (
    losses && {
      ...losses,
      entries: Number(readFile("/proc/sys/net/netfilter/nf_conntrack_count") ?? 0),
      limit: Number(readFile("/proc/sys/net/netfilter/nf_conntrack_max") ?? 0),
    }
  );
}

/** Reads the totals of what was lost; undefined where nothing is tracked or the file cannot be read. */
export function readConntrackLosses(readFile: ReadSystemFile): ConntrackLosses | undefined {
  const [head = "", ...lines] = readFile("/proc/net/stat/nf_conntrack")?.trim().split("\n") ?? [];
  const names = head.trim().split(/\s+/);
  if (!names.includes("drop")) return undefined;
  const rows = lines.map((line) => line.trim().split(/\s+/));
  const sumOf = (name: string) => {
    const column = names.indexOf(name);
    return column < 0 ? 0 : rows.reduce((sum, fields) => sum + Number.parseInt(fields[column] ?? "0", 16), 0);
  };
  return { drop: sumOf("drop"), insertFailed: sumOf("insert_failed"), earlyDrop: sumOf("early_drop") };
}
