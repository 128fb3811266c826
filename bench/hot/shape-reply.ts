/*
 * A cached message becomes the reply to one client: `shapeReply`, into the same buffer each time.
 */
import { copyEntry } from "../../src/cache/entry.ts";
import { ExtendedError } from "../../src/wire/codes.ts";
import { minUdpSizeBytes } from "../../src/wire/query.ts";
import { shapeReply } from "../../src/wire/shape-reply.ts";
import { benchNowMs, createFilledChain } from "./filled-chain.ts";
import { readLookup } from "./read-lookup.ts";
import { checkTurns, itemFor } from "./turns.ts";
import type { HotCases } from "./hot-bench.ts";
import type { Lookup } from "./inputs.ts";

/** A Service, the mix of a node, 13 addresses, and 40, which do not fit in 512 octets. */
export const cases: HotCases = async ({ small, mixed, large, oversized }) => {
  const { resolver } = await createFilledChain([...mixed, ...large, ...oversized]);
  const target = new Uint8Array(65_535);

  function shaper(lookups: readonly Lookup[], limitBytes: number, hasEdns: boolean) {
    const pairs = lookups.map(({ plainQuery, ednsQuery }) => {
      const query = readLookup(hasEdns ? ednsQuery : plainQuery);
      const entry = resolver.lookup(query, benchNowMs);
      if (entry === undefined) throw new Error("an entry is missing");
      return { query, entry: copyEntry(entry) };
    });
    const shape = (turn: number) => {
      const { query, entry } = itemFor(pairs, turn);
      return shapeReply(target, entry, query, 3, 0, ExtendedError.none, limitBytes);
    };
    checkTurns("a reply is shaped", pairs.length, (turn) => shape(turn) > 12 && (target[2] as number) >= 0x80);
    return shape;
  }

  return {
    "1 address": shaper(small, minUdpSizeBytes, false),
    "mix, with EDNS": shaper(mixed, 1232, true),
    "13 addresses": shaper(large, minUdpSizeBytes, false),
    "40 addresses, cut": shaper(oversized, minUdpSizeBytes, false),
  };
};
