/*
 * What the pods of each namespace look up, out of the record: how much of it search suffixes cost, and which names need them. A namespace is a guess,
 * and so is who belongs to it.
 */
import { guessLibrary, type Library } from "./guess-client.ts";
import type { Seen } from "./seen.ts";
import type { Writing, WrittenName } from "./written-names.ts";

/** A name as it was written. */
export interface SeenLookup {
  readonly name: string;
  /** By the library that a client seems to use, how many queries each step of the search costs. */
  readonly byLibrary: Readonly<Partial<Record<Library, number>>>;
}

/** What the pods of a namespace look up. Counts are queries in the record. */
export interface NamespaceTraffic {
  readonly namespace: string;
  /** The rows of its clients. */
  readonly rows: readonly number[];
  /** How many clients look like each library. */
  readonly clients: Readonly<Partial<Record<Library, number>>>;
  /** The highest of its clients' ndots; what kubelet writes where nothing speaks for one. */
  readonly ndots: number;
  readonly queries: number;
  /** Of these, names under a search suffix that were denied. */
  readonly denied: number;
  /** Those that were searched, or exist under the first suffix. */
  readonly lookups: readonly SeenLookup[];
}

const kubeletNdots = 5;

/** The traffic by namespace, the one with the most denied names first. `zone` is the cluster's, as text. */
export function trafficByNamespace({ clients }: Seen, writing: Writing, zone: string): NamespaceTraffic[] {
  const libraryOf = (row: number) => guessLibrary(clients.columns, row);
  const namespaces = new Set(writing.names.map(({ namespace }) => namespace));
  namespaces.delete("");
  const all = [...namespaces].map((namespace): NamespaceTraffic => {
    const isOwn = (row: number) => writing.namespaceOf(row) === namespace;
    const own = writing.names.filter((one) => one.namespace === namespace);
    const lookups = [...own, ...foundAtOnce(namespace, writing, zone, own)];
    const rows = [...new Set(lookups.flatMap(({ byRow }) => [...byRow.keys()].filter(isOwn)))];
    const denied = own.reduce((sum, one) => sum + one.denied, 0);
    return {
      namespace,
      rows,
      clients: countBy(rows.map((row) => [libraryOf(row), 1])),
      ndots: Math.max(...rows.map((row) => writing.ndotsOf(row) ?? 0)) || kubeletNdots,
      queries: denied + answered(writing, isOwn) + sumOf(writing.deniedOutside, isOwn),
      denied,
      lookups: lookups.map(({ name, byRow }) => ({
        name,
        byLibrary: countBy([...byRow].filter(([row]) => isOwn(row)).map(([row, count]) => [libraryOf(row), count])),
      })),
    };
  });
  return all.toSorted((one, other) => other.denied - one.denied);
}

/**
 * Names that exist under the namespace's own suffix without a denial before them: `web`, and `web-0.web` as much. What those who were denied first
 * (`searched`) found there in the end, `web.shop` or the name in full, is theirs.
 */
function foundAtOnce(
  namespace: string,
  { existing, namespaceOf }: Writing,
  zone: string,
  searched: readonly WrittenName[],
): { name: string; byRow: ReadonlyMap<number, number> }[] {
  const ending = `.${namespace}.svc.${zone}`;
  const isOwn = (row: number) => namespaceOf(row) === namespace;
  return [...existing].flatMap(([text, byRow]) => {
    if (!text.endsWith(ending)) return [];
    const late = searched.filter(({ name, foundUnder }) => endOf(name, foundUnder) === text);
    const atOnce = [...byRow].map(([row, count]): [number, number] => [row, count - searchesOf(row, late)]);
    const left = new Map(atOnce.filter(([row, count]) => isOwn(row) && count > 0));
    return left.size > 0 ? [{ name: text.slice(0, -ending.length), byRow: left }] : [];
  });
}

/** The name at which a search ends well, if it does. */
function endOf(name: string, foundUnder: string | undefined): string {
  return foundUnder === undefined ? name : `${name}.${foundUnder}`;
}

function searchesOf(row: number, searched: readonly WrittenName[]): number {
  return searched.reduce((sum, { byRow }) => sum + (byRow.get(row) ?? 0), 0);
}

function answered({ existing }: Writing, isOwn: (row: number) => boolean): number {
  let total = 0;
  for (const byRow of existing.values()) total += sumOf(byRow, isOwn);
  return total;
}

function sumOf(byRow: ReadonlyMap<number, number>, isOwn: (row: number) => boolean): number {
  let total = 0;
  for (const [row, count] of byRow) if (isOwn(row)) total += count;
  return total;
}

function countBy(pairs: readonly (readonly [Library, number])[]): Partial<Record<Library, number>> {
  const counts: Partial<Record<Library, number>> = {};
  for (const [library, count] of pairs) counts[library] = (counts[library] ?? 0) + count;
  return counts;
}
