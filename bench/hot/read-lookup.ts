/*
 * Queries that were read already, each in a view of its own.
 */
import { type ClientQuery, createQueryView, readQuery } from "../../src/wire/query.ts";

/** Any seed. */
export const hashSeed = 0x5eed_5eed;

/** A client's query, read. Throws when it has a fault. */
export function readLookup(packet: Uint8Array): ClientQuery {
  const view = createQueryView(hashSeed);
  const fault = readQuery(packet, packet.length, view);
  if (fault !== 0) throw new Error(`the query has fault ${fault}`);
  return view;
}
