/* Describes what becomes of a query, in a few words that fit a column. */
import type { Foresight } from "../resolve/step.ts";
import { searchRules } from "../search/rules.ts";

type Words = { readonly [Kind in Foresight["kind"]]: (foresight: Extract<Foresight, { kind: Kind }>) => string };

/** Describes what nodens would do with a query now. */
export function describeForesight(foresight: Foresight): string {
  // Each kind has its own function in the table, which the compiler cannot see from here.
  return (words[foresight.kind] as (foresight: Foresight) => string)(foresight);
}

/** Describes what nodens would do with the same query once its answer, and whatever else can be learned from it, is known. */
export function describeLater(now: Foresight, later: Foresight | undefined): string {
  if (later?.kind !== "denied") return "from the cache";
  return now.kind === "denied" ? "denied" : "denied: that parent is absent";
}

const cachedThings = { data: "answer", noData: "no such records", denied: "no such name" } as const;

const staleThings = {
  data: "stale answer",
  noData: "stale answer, no such records",
  denied: "stale answer, no such name",
};

function staleThing(stale: keyof typeof staleThings | undefined, otherwise: string): string {
  return stale === undefined ? otherwise : staleThings[stale];
}

const words: Words = {
  refused: () => "refused",
  cached: ({ verdict, ttlSeconds }) => `from the cache: ${cachedThings[verdict]}, ${ttlSeconds} s left`,
  ownHost: ({ hasData }) => `answered here: ${hasData ? "a name of this host" : "no such records"}`,
  denied: ({ rule, ttlSeconds }) =>
    `denied: ${searchRules[rule].because}${searchRules[rule].expires ? `, ${ttlSeconds} s left` : ""}`,
  outsideName: ({ outside, isCached }) =>
    `answered with ${outside}${isCached ? " from the cache" : ", which is asked"}`,
  looping: ({ stale }) => `${staleThing(stale, "SERVFAIL")}: the upstream leads back to nodens`,
  failed: ({ stale }) => `${staleThing(stale, "SERVFAIL")}: it failed a moment ago`,
  awayUpstream: ({ stale, again }) =>
    `${staleThing(stale, "SERVFAIL")}: upstream answers nobody${again ? ", and is asked again" : ""}`,
  shared: () => "waits with others for the same question",
  waits: ({ forType }) => `waits for ${forType}: a denial serves both`,
  asksParent: ({ parent, isOnItsWay }) => (isOnItsWay ? `waits for ${parent}` : `asks ${parent} instead`),
  forwarded: ({ route, transport }) => `asked (${route}, ${transport.toUpperCase()})`,
  shed: ({ stale }) => `${staleThing(stale, "no reply")}: too many questions are under way`,
};
