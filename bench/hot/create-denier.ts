/*
 * The search rules, asked about one query after another.
 */
import { benchNowMs, createFilledChain } from "./filled-chain.ts";
import { readLookup } from "./read-lookup.ts";
import { itemFor } from "./turns.ts";
import type { Lookup } from "./inputs.ts";

/** Judges the query of `lookups` with this number, when `known` is all that the cache holds. */
export async function createDenier(lookups: readonly Lookup[], known: readonly Lookup[]) {
  const { resolver } = await createFilledChain(known);
  const queries = lookups.map(({ plainQuery }) => readLookup(plainQuery));
  return (turn: number) => resolver.deny(itemFor(queries, turn), benchNowMs);
}
