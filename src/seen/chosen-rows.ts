/*
 * The picture with only what a filter lets through. A table is told if every part of the filter can choose among its rows, and left out otherwise:
 * nobody then takes the names of all clients for those of one. What is of the whole node stays.
 */
import type { ToldTrouble } from "./causes.ts";
import type { Picture } from "./picture.ts";
import { hasNamePart, type TailFilter } from "./told-queries.ts";
import type { WasteRow } from "./waste.ts";

/** Tables of a view that a filter chooses among. */
interface Tables {
  readonly waits: Picture["waits"];
  readonly clients: Picture["clients"];
  readonly names: Picture["names"];
  readonly denied: Picture["denied"];
  readonly waste: readonly WasteRow[];
  /** What is wrong for single pods. */
  readonly troubles: readonly ToldTrouble[];
}

/** The rows that pass, by table; without those tables that cannot be chosen among. */
export function chosenRows(tables: Tables, filter: TailFilter): Partial<Tables> {
  const { waits, clients, names, denied, waste, troubles } = tables;
  const { client, rcode, slowerThanMs, repeated } = filter;
  const part = filter.name;
  const hasName = ({ name }: { readonly name: string }) => part === undefined || hasNamePart(name, part);
  const isClient = (row: { readonly client: string }) => client === undefined || row.client === client;
  // Of single queries, which are in the record alone.
  if (rcode !== undefined || slowerThanMs !== undefined) return {};
  const chosenWaits = { waits: { ...waits, recent: waits.recent.filter((wait) => isClient(wait) && hasName(wait)) } };
  if (part === undefined)
    return {
      ...chosenWaits,
      troubles: troubles.filter(isClient),
      clients: clients.filter((row) => isClient(row) && (repeated !== true || row.waited > 0)),
    };
  if (client !== undefined || repeated === true) return chosenWaits;
  return { ...chosenWaits, names: names.filter(hasName), denied: denied.filter(hasName), waste: waste.filter(hasName) };
}
