/*
 * What a client looks like, guessed from what it asks. Guesses cost nothing but advice, and are told as guesses.
 */
import type { ClientColumns } from "./client-table.ts";
import { bucketOf, waitBuckets } from "./waits.ts";

/** A resolver that is recognised; "" for none. */
export type Library = "" | "musl" | "glibc" | "Go";

/** What kubelet writes, unless a pod's dnsConfig says otherwise. */
const usualNdots = 5;

/** Fewer queries or pairs say nothing. */
const least = 8;

/**
 * The resolver that a client seems to use; "" if nothing speaks for one. musl takes the IDs of a pair from the clock, one right after the other,
 * glibc by chance; Go sends the two from sockets of their own, with EDNS.
 */
export function guessLibrary(columns: ClientColumns, row: number): Library {
  const at = (column: Float32Array) => column[row] ?? 0;
  const pairs = at(columns.pairs);
  if (pairs < least) return "";
  const fromOnePort = at(columns.samePortPairs) / pairs;
  if (fromOnePort > 0.8) return at(columns.closeIdPairs) / at(columns.samePortPairs) > 0.7 ? "musl" : "glibc";
  return sendsApart(columns, row) && at(columns.edns) / at(columns.looked) > 0.8 ? "Go" : "";
}

/** The resolver that asks again after so many ms; "" where several do. */
export function guessByWait(afterMs: number): Library {
  return waitBuckets[bucketOf(afterMs)] === "2.5s" ? "musl" : "";
}

/** Whether a client sends the two queries of a pair from sockets of their own, as Go does, with EDNS or (an old `go` line in its module) without. */
export function sendsApart(columns: ClientColumns, row: number): boolean {
  const pairs = columns.pairs[row] ?? 0;
  return pairs >= least && (columns.samePortPairs[row] ?? 0) / pairs < 0.2;
}

/** A name as a client wrote it, with queries by the client's row. */
interface Written {
  readonly name: string;
  readonly byRow: ReadonlyMap<number, number>;
}

/**
 * The ndots of clients, by row. A name that was searched has fewer dots than ndots; an outside name of `existing` that was asked as it stands, and
 * never searched, has as many or more. The usual value is assumed where it fits. What is asked as it stands may also have a final dot or come from
 * a program that never searches, so it is passed over where it contradicts what was searched.
 */
export function guessNdots(
  searched: readonly Written[],
  existing: ReadonlyMap<string, ReadonlyMap<number, number>>,
  zone: string,
): Map<number, number> {
  const least = new Map<number, number>();
  const searchedBy = new Map<number, Set<string>>();
  for (const { name, byRow } of searched)
    for (const row of byRow.keys()) {
      least.set(row, Math.max(least.get(row) ?? 1, dotsIn(name) + 1));
      searchedBy.set(row, (searchedBy.get(row) ?? new Set()).add(name));
    }
  const most = new Map<number, number>();
  for (const [name, byRow] of existing) {
    if (name === zone || name.endsWith(`.${zone}`)) continue;
    for (const row of byRow.keys())
      if (searchedBy.get(row)?.has(name) === false)
        most.set(row, Math.min(most.get(row) ?? usualNdots, Math.max(1, dotsIn(name))));
  }
  return new Map(
    [...least].map(([row, atLeast]) => {
      const atMost = most.get(row) ?? usualNdots;
      return [row, atMost < atLeast ? Math.max(usualNdots, atLeast) : atMost];
    }),
  );
}

/** How many dots a name without a final one has. */
export function dotsIn(name: string): number {
  return name.split(".").length - 1;
}
