/*
 * A datagram becomes a query: `readQuery`, with the name folded and hashed on the way.
 */
import { createQueryView, readQuery } from "../../src/wire/query.ts";
import { hashSeed } from "./read-lookup.ts";
import { checkTurns, itemFor } from "./turns.ts";
import type { HotCases } from "./hot-bench.ts";

/** Clients with and without EDNS. */
export const cases: HotCases = ({ mixed }) => {
  const view = createQueryView(hashSeed);
  const plain = mixed.map(({ plainQuery }) => plainQuery);
  const edns = mixed.map(({ ednsQuery }) => ednsQuery);
  const read = (packet: Uint8Array) => readQuery(packet, packet.length, view);
  checkTurns("a plain query is read", plain.length, (turn) => read(itemFor(plain, turn)) === 0 && !view.hasEdns);
  checkTurns("a query with EDNS is read", edns.length, (turn) => read(itemFor(edns, turn)) === 0 && view.hasEdns);
  return {
    "without EDNS": (turn) => read(itemFor(plain, turn)),
    "with EDNS": (turn) => read(itemFor(edns, turn)),
  };
};
