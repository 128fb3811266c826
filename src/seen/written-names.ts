/*
 * What pods wrote, found again in what they asked: `www.example.com` behind `www.example.com.shop.svc.cluster.local` and the other suffixes of a
 * search list. With it come guesses of each client's namespace, that of the first suffix, and of its ndots.
 */
import { guessNdots } from "./guess-client.ts";
import { Rcode } from "../wire/codes.ts";
import { isHostLabel, nameToText } from "../wire/name-text.ts";
import type { Seen } from "./seen.ts";

/** A name as it was written, with what became of it under suffixes. Counts are queries in the record. */
export interface WrittenName {
  readonly name: string;
  /** The namespace of those who wrote it: a guess; "" if there is none. */
  readonly namespace: string;
  /** Queries under the first suffix that was tried, by the client's row: as many as each step of the search costs. */
  readonly byRow: ReadonlyMap<number, number>;
  /** Denied under each suffix. */
  readonly deniedUnder: ReadonlyMap<string, number>;
  readonly denied: number;
  /** The suffix under which it exists; undefined if none was seen. */
  readonly foundUnder: string | undefined;
}

/** What was written, and by whom. */
export interface Writing {
  /** The names that were denied under a search suffix, those that were denied most first. */
  readonly names: readonly WrittenName[];
  /** The namespace of a row of clients; "" if nothing speaks for one. */
  namespaceOf(clientRow: number): string;
  /** Its ndots; undefined if nothing speaks for one. */
  ndotsOf(clientRow: number): number | undefined;
  /** The names that exist, as text, with the queries for each by the client's row. */
  readonly existing: ReadonlyMap<string, ReadonlyMap<number, number>>;
  /** Queries by the client's row for names outside the zone that do not exist. */
  readonly deniedOutside: ReadonlyMap<number, number>;
}

/** Queries by the client's row. */
type ByRow = Map<number, number>;

interface Asked {
  readonly text: string;
  readonly byRow: ByRow;
}

/** Reads what was written out of the record. `zone` is the cluster's, as text. Without kept names there is nothing to read. */
export function readWriting(seen: Seen, zone: string): Writing {
  const { denied: everyDenied, existing } = readRecord(seen);
  const isInside = ({ text }: Asked) => text.endsWith(`.${zone}`);
  const denied = everyDenied.filter(isInside);
  const deniedOutside: ByRow = new Map();
  for (const { byRow } of everyDenied.filter((one) => !isInside(one)))
    for (const [row, count] of byRow) deniedOutside.set(row, (deniedOutside.get(row) ?? 0) + count);
  const split = createSplitter(denied, zone);
  const namespaces = guessNamespaces(denied, split, zone);
  const namespaceOf = (row: number) => namespaces.get(row) ?? "";
  const written = new Map<string, { name: string; namespace: string; under: Map<string, ByRow> }>();
  for (const { text, byRow } of denied) {
    const { name, suffix } = split(text);
    for (const [row, count] of byRow) {
      const namespace = namespaceOf(row);
      const key = `${namespace} ${name}`;
      const one = written.get(key) ?? { name, namespace, under: new Map<string, ByRow>() };
      written.set(key, one);
      const counts = one.under.get(suffix) ?? new Map<number, number>();
      one.under.set(suffix, counts.set(row, (counts.get(row) ?? 0) + count));
    }
  }
  const names = [...written.values()].map(({ name, namespace, under }) => {
    const searched = searchListOf(namespace, zone);
    const deniedUnder = new Map([...under].map(([suffix, counts]) => [suffix, sum(counts.values())]));
    return {
      name,
      namespace,
      byRow: under.get(searched.find((suffix) => under.has(suffix)) ?? "") ?? new Map<number, number>(),
      deniedUnder,
      denied: sum(deniedUnder.values()),
      foundUnder: searched.find((suffix) => existing.has(`${name}.${suffix}`)),
    };
  });
  const ndots = guessNdots(names, existing, zone);
  return {
    names: names.toSorted((one, other) => other.denied - one.denied),
    namespaceOf,
    ndotsOf: (row) => ndots.get(row),
    existing,
    deniedOutside,
  };
}

/** The denied names and, as text, those that exist. */
function readRecord(seen: Seen): { denied: Asked[]; existing: Map<string, ByRow> } {
  const asked = { denied: new Map<number, Asked>(), existing: new Map<number, Asked>() };
  seen.eachAnswered((rcode, nameReference, nameHash, clientRow) => {
    if (rcode !== Rcode.NXDOMAIN && rcode !== Rcode.NOERROR) return;
    const those = rcode === Rcode.NXDOMAIN ? asked.denied : asked.existing;
    let one = those.get(nameReference);
    if (one === undefined) {
      const octets = seen.nameAt(nameReference, nameHash);
      one = { text: octets === undefined ? "" : nameToText(octets), byRow: new Map() };
      those.set(nameReference, one);
    }
    one.byRow.set(clientRow, (one.byRow.get(clientRow) ?? 0) + 1);
  });
  const existing = [...asked.existing.values()].filter(({ text }) => text !== "");
  return {
    denied: [...asked.denied.values()],
    existing: new Map(existing.map(({ text, byRow }) => [text, byRow])),
  };
}

type Splitter = (text: string) => { readonly name: string; readonly suffix: string };

/**
 * Splits `www.example.com.shop.svc.Z` and `www.example.com.svc.Z` alike into `www.example.com` and the suffix. That `com` is not a namespace shows
 * where the same name was denied under one.
 */
function createSplitter(denied: readonly Asked[], zone: string): Splitter {
  const ending = `.svc.${zone}`;
  const stemOf = (text: string) => text.slice(0, -ending.length);
  const parents = new Set(denied.flatMap(({ text }) => (text.endsWith(ending) ? parentOf(stemOf(text)) : [])));
  return (text) => {
    if (!text.endsWith(ending)) return { name: text.slice(0, -zone.length - 1), suffix: zone };
    const stem = stemOf(text);
    const parent = parentOf(stem);
    return parent === "" || parents.has(stem)
      ? { name: stem, suffix: ending.slice(1) }
      : { name: parent, suffix: text.slice(parent.length + 1) };
  };
}

/** A name without its last label; "" for a single label. Labels with escaped dots are not told apart: this only counts. */
function parentOf(name: string): string {
  return name.slice(0, Math.max(0, name.lastIndexOf(".")));
}

function guessNamespaces(denied: readonly Asked[], split: Splitter, zone: string): Map<number, string> {
  const counts = new Map<number, Map<string, number>>();
  for (const { text, byRow } of denied) {
    const { suffix } = split(text);
    if (!suffix.endsWith(`.svc.${zone}`)) continue;
    const namespace = suffix.slice(0, -`.svc.${zone}`.length);
    // A pod may ask for anything, and a namespace ends up in a command that people paste into a shell.
    if (!isHostLabel(namespace)) continue;
    for (const [row, count] of byRow) {
      const own = counts.get(row) ?? new Map<string, number>();
      counts.set(row, own.set(namespace, (own.get(namespace) ?? 0) + count));
    }
  }
  return new Map([...counts].map(([row, own]) => [row, mostOf(own)]));
}

function mostOf(counts: ReadonlyMap<string, number>): string {
  return [...counts].toSorted(([, one], [, other]) => other - one)[0]?.[0] ?? "";
}

function sum(counts: Iterable<number>): number {
  let total = 0;
  for (const count of counts) total += count;
  return total;
}

function searchListOf(namespace: string, zone: string): string[] {
  return [...(namespace === "" ? [] : [`${namespace}.svc.${zone}`]), `svc.${zone}`, zone];
}
