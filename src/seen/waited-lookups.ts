/*
 * Waits as people think of them: A and AAAA of one lookup come again together, and are one.
 */
import type { Picture } from "./picture.ts";

/** A query that came again, with the types that came with it: "A, AAAA". */
export type WaitedLookup = Picture["waits"]["recent"][number] & { readonly types: string };

/** The lookups of queries that came again, in their order. */
export function waitedLookups(recent: Picture["waits"]["recent"]): WaitedLookup[] {
  const lookups = Map.groupBy(
    recent,
    ({ secondsAgo, client, name, first }) => `${secondsAgo} ${client} ${name} ${first}`,
  );
  return [...lookups.values()].flatMap((queries) => {
    const [query] = queries;
    const types = [...new Set(queries.map(({ type }) => type))].toSorted().join(", ");
    return query === undefined ? [] : [{ ...query, types }];
  });
}
