/*
 * What the node's connection tracking threw away, and how full its table is. /proc/net/stat/nf_conntrack has one line for each processor below a
 * line of names, all in hexadecimal digits; they tell of the network namespace that nodens is in, which is the node's own with hostNetwork.
 */
import type { ReadSystemFile } from "./receive-drops.ts";

/** Totals since the node was started. */
export interface ConntrackStats {
  readonly drop: number;
  readonly insertFailed: number;
  readonly earlyDrop: number;
  /** Entries in the table, and how many it may hold. */
  readonly entries: number;
  readonly limit: number;
}

/** Reads the totals; undefined where nothing is tracked or the files cannot be read. */
export function readConntrackStats(readFile: ReadSystemFile): ConntrackStats | undefined {
  const [head = "", ...lines] = readFile("/proc/net/stat/nf_conntrack")?.trim().split("\n") ?? [];
  const names = head.trim().split(/\s+/);
  if (!names.includes("drop")) return undefined;
  const sumOf = (name: string) => {
    const column = names.indexOf(name);
    if (column < 0) return 0;
    return lines.reduce((sum, line) => sum + Number.parseInt(line.trim().split(/\s+/)[column] ?? "0", 16), 0);
  };
  return {
    drop: sumOf("drop"),
    insertFailed: sumOf("insert_failed"),
    earlyDrop: sumOf("early_drop"),
    entries: Number(readFile("/proc/sys/net/netfilter/nf_conntrack_count") ?? 0),
    limit: Number(readFile("/proc/sys/net/netfilter/nf_conntrack_max") ?? 0),
  };
}
