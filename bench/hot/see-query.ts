/*
 * What the onlooker costs for each query: `received` and `answered`, which a hit calls one after the other, with the clients and names of a node.
 */
import { setPort, socketAddress } from "../../src/runtime/socket-address.ts";
import { createSeen } from "../../src/seen/seen.ts";
import { nameFromText } from "../../src/wire/name-text.ts";
import { copyQuery } from "../../src/wire/query.ts";
import { benchNowMs } from "./filled-chain.ts";
import { clusterZone, type Lookup } from "./inputs.ts";
import { hashSeed, readLookup } from "./read-lookup.ts";
import { checkTurns, itemFor } from "./turns.ts";
import type { HotCases } from "./hot-bench.ts";

const clients = Array.from({ length: 100 }, (_, index) => socketAddress({ host: `10.244.3.${index + 1}`, port: 0 }));

/** Hits as they come, and without the recorder; names that are denied. */
export const cases: HotCases = ({ mixed, outsideSchema }) => {
  function onlooker(lookups: readonly Lookup[], recordedQueries: number, rcode: number) {
    const queries = lookups.map(({ plainQuery }) => copyQuery(readLookup(plainQuery)));
    const seen = createSeen({
      recordedQueries,
      keepsNames: true,
      suffixes: [nameFromText(clusterZone) as Uint8Array],
      isHit: () => true,
      isFromUpstream: () => false,
      isClusterName: () => true,
      seed: hashSeed,
    });
    const see = (turn: number) => {
      const query = itemFor(queries, turn);
      // Time goes on, and ports are those of short-lived sockets, as with libc.
      const client = itemFor(clients, turn >> 1);
      setPort(client, turn & 0xffff);
      const number = seen.received(client, query, false, Math.floor(benchNowMs + turn / 10));
      seen.answered(number, query.name, rcode, 0, 0.01);
      return number;
    };
    checkTurns("a query is seen", lookups.length, (turn) => see(turn) >= 0);
    return see;
  }

  return {
    "a hit": onlooker(mixed, 65_536, 0),
    "a hit, not recorded": onlooker(mixed, 0, 0),
    "a denied suffix query": onlooker(outsideSchema, 65_536, 3),
  };
};
