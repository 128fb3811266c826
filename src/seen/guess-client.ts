/*
 * What a client looks like, guessed from what it asks. Guesses cost nothing but advice, and are told as guesses.
 */
import type { ClientColumns } from "./client-table.ts";

/** Fewer queries or pairs say nothing. */
const least = 8;

/**
 * The resolver that a client seems to use; "" if nothing speaks for one. musl takes the IDs of a pair from the clock, one right after the other,
 * glibc by chance; Go sends the two from sockets of their own, with EDNS.
 */
export function guessLibrary(columns: ClientColumns, row: number): "" | "musl" | "glibc" | "Go" {
  const at = (column: Float32Array) => column[row] ?? 0;
  const pairs = at(columns.pairs);
  if (pairs < least) return "";
  const fromOnePort = at(columns.samePortPairs) / pairs;
  if (fromOnePort > 0.8) return at(columns.closeIdPairs) / at(columns.samePortPairs) > 0.7 ? "musl" : "glibc";
  return fromOnePort < 0.2 && at(columns.edns) / at(columns.queries) > 0.8 ? "Go" : "";
}
