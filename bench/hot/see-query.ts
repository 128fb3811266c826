/*
 * What the onlooker costs for each query: `answeredAtOnce`, which a hit calls, with the clients and names of a node.
 */
import { setPort, socketAddress } from "../../src/runtime/socket-address.ts";
import { createSeen, type Seen } from "../../src/seen/seen.ts";
import { nameFromText } from "../../src/wire/name-text.ts";
import { copyQuery } from "../../src/wire/query.ts";
import { benchNowMs } from "./filled-chain.ts";
import { clusterZone, type Lookup } from "./inputs.ts";
import { hashSeed, readLookup } from "./read-lookup.ts";
import { checkTurns, itemFor } from "./turns.ts";
import type { HotCases } from "./hot-bench.ts";

const clients = Array.from({ length: 100 }, (_, index) => socketAddress({ host: `10.244.3.${index + 1}`, port: 0 }));

/** Hits, and names that are denied: both seen by one onlooker, as in life. */
export const cases: HotCases = ({ mixed, outsideSchema }) => {
  const seen = createBenchSeen();

  function seer(lookups: readonly Lookup[], rcode: number) {
    const queries = inPairs(lookups).map(({ plainQuery }) => copyQuery(readLookup(plainQuery)));
    const see = (turn: number) => {
      const query = itemFor(queries, turn);
      const pair = turn >> 1;
      const client = itemFor(clients, pair);
      setPort(client, pair & 0xffff);
      seen.answeredAtOnce(client, query, false, Math.floor(benchNowMs + turn / 10), rcode, 0, 0.01);
      return turn;
    };
    checkTurns(
      "a query is seen",
      lookups.length,
      (turn) => see(turn) === turn && recordedId(seen) === itemFor(queries, turn).id,
    );
    return see;
  }

  return { "a hit": seer(mixed, 0), "a denied suffix query": seer(outsideSchema, 3) };
};

/** An onlooker with the default settings. */
export function createBenchSeen(): Seen {
  return createSeen({
    recordedQueries: 65_536,
    keepsNames: true,
    suffixes: [nameFromText(clusterZone) as Uint8Array],
    isHit: () => true,
    isFromUpstream: () => false,
    isClusterName: () => true,
    seed: hashSeed,
  });
}

/** As libc sends them: A and AAAA of a name one after the other, from one socket. The names stay in their order. */
export function inPairs(lookups: readonly Lookup[]): Lookup[] {
  return [...Map.groupBy(lookups, ({ name }) => name).values()].flat();
}

/** The ID of the query that was seen last. */
function recordedId(seen: Seen): number {
  let newest = -1;
  seen.eachRecorded(({ id }) => {
    newest = id;
    return false;
  });
  return newest;
}
