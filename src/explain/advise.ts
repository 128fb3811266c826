/*
 * What the pods of each namespace could do to look up less: a lower ndots in their dnsConfig, or final dots. What that saves is foretold by walking
 * the lookups that were recorded once more, with the other ndots, against the names that were seen to exist.
 *
 * An ndots that is not higher than the dots of a cluster name that needs a suffix is refused. musl never tries a suffix for such a name, which then
 * does not resolve; the others ask for it as it stands first, outside the cluster, where `web.shop` may be somebody else's.
 */
import type { Foresee } from "../resolve/foresee.ts";
import type { Foresight } from "../resolve/step.ts";
import { forEachInferringRule } from "../search/rules.ts";
import { nameToText } from "../wire/name-text.ts";
import { explainLookup, type Explanation, walkOf } from "./explain-lookup.ts";
import { podSearchList, readExplainRequest } from "./explain-request.ts";
import { type ClientLibrary, countDots } from "./lookup-plan.ts";

/** A library as it was recognised; "" if it was not. */
type SeenLibrary = "" | "musl" | "glibc" | "Go";

/** What the pods of a namespace were seen to look up. Counts are queries. */
export interface SeenNamespace {
  readonly namespace: string;
  /** How many clients look like each library. */
  readonly clients: Readonly<Partial<Record<SeenLibrary, number>>>;
  readonly ndots: number;
  readonly queries: number;
  readonly denied: number;
  /** Names as they were written, and how many queries each step of the search costs, by library. */
  readonly lookups: readonly {
    readonly name: string;
    readonly byLibrary: Readonly<Partial<Record<SeenLibrary, number>>>;
  }[];
}

/** What the lookups are walked against. */
export interface SeenZone {
  readonly clusterDomain: string;
  /** Suffixes that pods have beside those of the cluster, as text. */
  readonly hostSuffixes: readonly string[];
  /** Whether a name (text, without final dot) was seen to exist. */
  exists(name: string): boolean;
}

/** What to do in a namespace. */
export interface NamespaceAdvice {
  readonly namespace: string;
  readonly clients: SeenNamespace["clients"];
  /** The ndots that its pods seem to have now. */
  readonly ndots: number;
  readonly queries: number;
  readonly denied: number;
  /** The ndots that saves most of those that break nothing; undefined if none saves anything. */
  readonly change: NdotsChange | undefined;
  /** A lower one that would save more, and why it is not advised. */
  readonly refused: RefusedNdots | undefined;
  /** Names that a final dot would spare the search, those that save most first. */
  readonly finalDots: readonly FinalDot[];
}

/** Another ndots, and the queries with and without it. */
export interface NdotsChange {
  readonly ndots: number;
  readonly queriesNow: number;
  readonly queriesThen: number;
  /** What to put into a Deployment. */
  readonly patch: object;
}

/** An ndots that would break something. */
export interface RefusedNdots {
  readonly ndots: number;
  readonly queriesThen: number;
  /** The names that would suffer, a few of them. */
  readonly names: readonly string[];
  readonly why: string;
}

/** A name, and the queries with and without its final dot. */
export interface FinalDot {
  readonly name: string;
  readonly queriesNow: number;
  readonly queriesThen: number;
}

const shownNames = 5;

/** Advises for one namespace. */
export function adviseNamespace(seen: SeenNamespace, zone: SeenZone): NamespaceAdvice {
  const walks = seen.lookups.flatMap((lookup) => walkerOf(lookup, seen.namespace, zone) ?? []);
  const queriesWith = (ndots: number) => walks.reduce((sum, walk) => sum + walk.queries(ndots), 0);
  const queriesNow = queriesWith(seen.ndots);
  const lower = Array.from({ length: Math.max(0, seen.ndots - 1) }, (_, index) => seen.ndots - 1 - index);
  const rows = lower.map((ndots) => ({
    ndots,
    queriesThen: queriesWith(ndots),
    suffering: walks.filter((walk) => walk.needsSuffix(seen.ndots) && walk.dots >= ndots),
  }));
  // From high to low, so that of those that save as much the highest stays.
  const best = rows
    .filter(({ suffering, queriesThen }) => suffering.length === 0 && queriesThen < queriesNow)
    .reduce<(typeof rows)[number] | undefined>(
      (least, row) => (least === undefined || row.queriesThen < least.queriesThen ? row : least),
      undefined,
    );
  // That of those which would save more is refused which is nearest to what is advised.
  const refused = rows.find(
    ({ suffering, queriesThen }) => suffering.length > 0 && queriesThen < (best?.queriesThen ?? queriesNow),
  );
  return {
    ...seenPart(seen),
    change: best && { ndots: best.ndots, queriesNow, queriesThen: best.queriesThen, patch: patchFor(best.ndots) },
    refused: refused && {
      ndots: refused.ndots,
      queriesThen: refused.queriesThen,
      names: refused.suffering.slice(0, shownNames).map(({ name }) => name),
      why: whyRefused(seen.clients),
    },
    finalDots: walks
      .filter((walk) => zone.exists(walk.name) && walk.endsAsItStands(seen.ndots))
      .map((walk) => ({
        name: `${walk.name}.`,
        queriesNow: walk.queries(seen.ndots),
        queriesThen: walk.perStep,
      }))
      .filter((one) => one.queriesThen < one.queriesNow)
      .toSorted((one, other) => other.queriesNow - other.queriesThen - (one.queriesNow - one.queriesThen))
      .slice(0, shownNames),
  };
}

function seenPart({ namespace, clients, ndots, queries, denied }: SeenNamespace) {
  return { namespace, clients, ndots, queries, denied };
}

/** A recorded lookup that can be walked with any ndots. */
interface Walker {
  readonly name: string;
  readonly dots: number;
  readonly perStep: number;
  /** How many queries all of its lookups send. */
  queries(ndots: number): number;
  /** Whether it is found behind a suffix, and so is a name of the cluster. */
  needsSuffix(ndots: number): boolean;
  /** Whether the search ends in vain at the name as it stands. */
  endsAsItStands(ndots: number): boolean;
}

/** Undefined for what is not a name that programs look up. */
function walkerOf(
  { name, byLibrary }: SeenNamespace["lookups"][number],
  namespace: string,
  zone: SeenZone,
): Walker | undefined {
  const search = [...podSearchList(namespace, zone.clusterDomain), ...zone.hostSuffixes];
  const explain = (ndots: number): Explanation | undefined => {
    const request = readExplainRequest({ name, search, ndots: String(ndots) }, zone.clusterDomain);
    if ("wrong" in request) return undefined;
    const rules = forEachInferringRule(() => true);
    return explainLookup(request, {
      clusterDomain: zone.clusterDomain,
      source: "running",
      rules,
      foresee: foreseeFrom(zone),
    });
  };
  if (explain(1) === undefined) return undefined;
  const lastStep = (ndots: number) => {
    const explanation = explain(ndots);
    return explanation?.steps[walkOf(explanation, "glibc").steps - 1];
  };
  const perStep = Object.values(byLibrary).reduce((sum, count) => sum + count, 0);
  return {
    name,
    dots: countDots(name),
    perStep,
    queries(ndots) {
      const explanation = explain(ndots);
      if (explanation === undefined) return 0;
      const steps = (library: SeenLibrary) => walkOf(explanation, walksLike[library]).steps;
      return seenLibraries.reduce((sum, library) => sum + (byLibrary[library] ?? 0) * steps(library), 0);
    },
    needsSuffix: (ndots) => lastStep(ndots)?.suffix !== "" && zone.exists(lastStep(ndots)?.name ?? ""),
    endsAsItStands: (ndots) => lastStep(ndots)?.suffix === "",
  };
}

/** The others go on to the suffixes behind the name as it stands, as glibc does. */
const walksLike: Readonly<Record<SeenLibrary, ClientLibrary>> = {
  musl: "musl",
  glibc: "glibc",
  Go: "glibc",
  "": "glibc",
};
const seenLibraries = Object.keys(walksLike) as SeenLibrary[];

/** What was not seen to exist is denied: the answer comes right after the denials, so it is in the record if they are. */
function foreseeFrom({ exists }: SeenZone): Foresee {
  return (octets, types) => {
    const verdict = exists(nameToText(octets)) ? "data" : "denied";
    return types.map((): Foresight => ({ kind: "cached", verdict, ttlSeconds: 0 }));
  };
}

function whyRefused(clients: SeenNamespace["clients"]): string {
  const others = "would be asked as they stand first, outside the cluster, where somebody else may have them";
  const musl = "musl (Alpine) would never try a suffix for them, and not find them";
  const hasMusl = (clients.musl ?? 0) > 0;
  const hasOthers = (clients.glibc ?? 0) + (clients.Go ?? 0) > 0;
  const mayBeMusl = (clients[""] ?? 0) > 0;
  return [
    ...(hasMusl ? [musl] : []),
    ...(mayBeMusl && !hasMusl ? [`${musl}, if one of the clients is musl, which cannot be told`] : []),
    ...(hasOthers ? [`they ${others}`] : []),
  ].join("; ");
}

function patchFor(ndots: number): object {
  const options = [{ name: "ndots", value: String(ndots) }];
  return { spec: { template: { spec: { dnsConfig: { options } } } } };
}
