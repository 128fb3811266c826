/*
 * A query meets the cache: `lookup`, the step that ends a hit, with all names of a node in it.
 */
import { benchNowMs, createFilledChain } from "./filled-chain.ts";
import { readLookup } from "./read-lookup.ts";
import { checkTurns, itemFor } from "./turns.ts";
import type { HotCases } from "./hot-bench.ts";

/** Names that are there, in the mix of answers and denials, and names that are not. */
export const cases: HotCases = async ({ mixed, outsideSchema }) => {
  const { resolver } = await createFilledChain(mixed);
  const known = mixed.map(({ plainQuery }) => readLookup(plainQuery));
  const unknown = outsideSchema.map(({ plainQuery }) => readLookup(plainQuery));
  const find = (query: ReturnType<typeof readLookup>) => resolver.lookup(query, benchNowMs);
  checkTurns("a name is found", known.length, (turn) => find(itemFor(known, turn)) !== undefined);
  checkTurns("a name is not found", unknown.length, (turn) => find(itemFor(unknown, turn)) === undefined);
  return {
    hit: (turn) => find(itemFor(known, turn)),
    miss: (turn) => find(itemFor(unknown, turn)),
  };
};
