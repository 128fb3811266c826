/*
 * What pods wrote, found again in what they asked: `www.example.com` behind `www.example.com.shop.svc.cluster.local` and the other suffixes of a
 * search list. With it comes a guess of each client's namespace, that of the first suffix.
 */
import { Rcode } from "../wire/codes.ts";
import { nameToText } from "../wire/name-text.ts";
import type { Seen } from "./seen.ts";

/** A name as it was written, with what became of it under suffixes. Counts are queries in the record. */
export interface WrittenName {
  readonly name: string;
  /** The namespace of those who wrote it: a guess; "" if there is none. */
  readonly namespace: string;
  /** Rows of clients. */
  readonly clientRows: ReadonlySet<number>;
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
}

interface Denied {
  readonly text: string;
  /** Queries by the client's row. */
  readonly byRow: Map<number, number>;
}

/** Reads what was written out of the record. `zone` is the cluster's, as text. Without kept names there is nothing to read. */
export function readWriting(seen: Seen, zone: string): Writing {
  const { denied, existing } = readRecord(seen, zone);
  const split = createSplitter([...denied.values()], zone);
  const namespaces = guessNamespaces([...denied.values()], split, zone);
  const namespaceOf = (row: number) => namespaces.get(row) ?? "";
  const written = new Map<string, { name: string; namespace: string; rows: Set<number>; under: Map<string, number> }>();
  for (const { text, byRow } of denied.values()) {
    const { name, suffix } = split(text);
    for (const [row, count] of byRow) {
      const namespace = namespaceOf(row);
      const key = `${namespace} ${name}`;
      const one = written.get(key) ?? { name, namespace, rows: new Set(), under: new Map() };
      written.set(key, one);
      if (row >= 0) one.rows.add(row);
      one.under.set(suffix, (one.under.get(suffix) ?? 0) + count);
    }
  }
  const names = [...written.values()].map(({ name, namespace, rows, under }) => ({
    name,
    namespace,
    clientRows: rows,
    deniedUnder: under,
    denied: [...under.values()].reduce((sum, count) => sum + count, 0),
    foundUnder: searchListOf(namespace, zone).find((suffix) => existing.has(`${name}.${suffix}`)),
  }));
  return { names: names.toSorted((one, other) => other.denied - one.denied), namespaceOf };
}

/** The denied names under the zone, by their place in the record, and those that exist, as text. */
function readRecord(seen: Seen, zone: string): { denied: Map<number, Denied>; existing: Set<string> } {
  const texts = new Map<number, string>();
  const denied = new Map<number, Denied>();
  const existing = new Set<string>();
  seen.eachAnswered((rcode, nameReference, nameHash, clientRow) => {
    if (rcode !== Rcode.NXDOMAIN && rcode !== Rcode.NOERROR) return;
    let text = texts.get(nameReference);
    if (text === undefined) {
      const octets = seen.nameAt(nameReference, nameHash);
      text = octets === undefined ? "" : nameToText(octets);
      texts.set(nameReference, text);
    }
    if (!text.endsWith(`.${zone}`)) return;
    if (rcode === Rcode.NOERROR) {
      existing.add(text);
      return;
    }
    const one = denied.get(nameReference) ?? { text, byRow: new Map<number, number>() };
    denied.set(nameReference, one);
    one.byRow.set(clientRow, (one.byRow.get(clientRow) ?? 0) + 1);
  });
  return { denied, existing };
}

type Splitter = (text: string) => { readonly name: string; readonly suffix: string };

/**
 * Splits `www.example.com.shop.svc.Z` and `www.example.com.svc.Z` alike into `www.example.com` and the suffix. That `com` is not a namespace shows
 * where the same name was denied under one.
 */
function createSplitter(denied: readonly Denied[], zone: string): Splitter {
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

function guessNamespaces(denied: readonly Denied[], split: Splitter, zone: string): Map<number, string> {
  const counts = new Map<number, Map<string, number>>();
  for (const { text, byRow } of denied) {
    const { suffix } = split(text);
    if (!suffix.endsWith(`.svc.${zone}`)) continue;
    const namespace = suffix.slice(0, -`.svc.${zone}`.length);
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

function searchListOf(namespace: string, zone: string): string[] {
  return [...(namespace === "" ? [] : [`${namespace}.svc.${zone}`]), `svc.${zone}`, zone];
}
