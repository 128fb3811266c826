/*
 * What a client looks like, guessed from what it asks. Guesses cost nothing but advice, and are told as guesses.
 */
import { Rcode } from "../wire/codes.ts";
import { nameToText } from "../wire/name-text.ts";
import type { ClientColumns } from "./client-table.ts";
import type { Seen } from "./seen.ts";

/** Fewer queries or pairs say nothing. */
const least = 8;

/**
 * The resolver that a client seems to use; "" if nothing speaks for one. musl takes the IDs of a pair from the clock, one right after the other,
 * glibc by chance; Go sends the two from sockets of their own, with EDNS.
 */
export function guessLibrary(columns: ClientColumns, row: number): "" | "musl" | "glibc" | "Go" {
  const at = (column: Float32Array) => column[row] ?? 0;
  const pairs = at(columns.pairs);
  if (pairs < least) return "";
  const fromOnePort = at(columns.samePortPairs) / pairs;
  if (fromOnePort > 0.8) return at(columns.closeIdPairs) / at(columns.samePortPairs) > 0.7 ? "musl" : "glibc";
  return fromOnePort < 0.2 && at(columns.edns) / at(columns.queries) > 0.8 ? "Go" : "";
}

/** Recorded queries that are looked at: enough for the clients that ask much, and done in a few milliseconds. */
const lookedAt = 20_000;

/**
 * The namespaces of clients by row: that of the first search suffix, with which names were denied most often. `zone` is the cluster's, as text.
 * A client without such queries in the record is left out.
 */
export function guessNamespace(seen: Seen, zone: string): Map<number, string> {
  const byName = new Map<number, string>();
  const counts = new Map<number, Map<string, number>>();
  let looked = 0;
  seen.eachRecorded((query) => {
    looked += 1;
    if (query.rcode === Rcode.NXDOMAIN && query.clientRow >= 0 && seen.clientOf(query) !== "") {
      const known = byName.get(query.nameReference);
      const namespace = known ?? namespaceIn(seen.nameOf(query), zone);
      if (known === undefined) byName.set(query.nameReference, namespace);
      if (namespace !== "") {
        const own = counts.get(query.clientRow) ?? new Map<string, number>();
        counts.set(query.clientRow, own.set(namespace, (own.get(namespace) ?? 0) + 1));
      }
    }
    return looked < lookedAt;
  });
  return new Map(
    [...counts].map(([row, own]) => [row, [...own].toSorted(([, one], [, other]) => other - one)[0]?.[0] ?? ""]),
  );
}

/** `shop` in `www.example.com.shop.svc.Z`: a name with a dot before the suffix, so that it is not a Service's own name. */
function namespaceIn(name: Uint8Array | undefined, zone: string): string {
  const text = name === undefined ? "" : nameToText(name);
  if (!text.endsWith(`.svc.${zone}`)) return "";
  const labels = text.slice(0, -zone.length - 5).split(".");
  return labels.length >= 3 ? (labels.at(-1) ?? "") : "";
}
