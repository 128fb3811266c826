/*
 * Advice out of what was seen: the record, as the engine of explain walks it.
 */
import { adviseNamespace } from "../explain/advise.ts";
import { type Advice, printAdvice } from "../explain/print-advice.ts";
import type { LocalPage } from "../observe/admin-pages.ts";
import { trafficByNamespace } from "../seen/namespace-traffic.ts";
import type { PictureParts } from "../seen/picture.ts";
import { readWriting } from "../seen/written-names.ts";
import { hostSuffixes } from "../settings/host-suffixes.ts";
import type { Settings } from "../settings/settings-table.ts";

/** The page with the advice, as text or JSON. */
export function advicePage(
  parameters: URLSearchParams,
  parts: PictureParts,
  settings: Settings,
  nowMs: number,
): ReturnType<LocalPage> {
  const advice = adviceFrom(parts, settings, nowMs);
  if ("wrong" in advice) return advice;
  return parameters.has("json") ? { json: advice } : { text: printAdvice(advice) };
}

/** The advice for every namespace that was seen. `wrong` says why there can be none. */
function adviceFrom(
  { seen, zone }: PictureParts,
  settings: Settings,
  nowMs: number,
): Advice | { readonly wrong: string } {
  const { recordedQueries, names } = settings.seen;
  if (recordedQueries === 0) return { wrong: "nothing is recorded: seen.recordedQueries is 0" };
  if (names !== "on") return { wrong: `names are not kept: seen.names is ${names}` };
  const writing = readWriting(seen, zone);
  const seenZone = {
    clusterDomain: zone,
    hostSuffixes: hostSuffixes(settings),
    exists: (name: string) => writing.existing.has(name),
  };
  const traffic = trafficByNamespace(seen, writing, zone);
  const placed = new Set(traffic.flatMap(({ rows }) => rows));
  return {
    recordedSeconds: Math.round((nowMs - (seen.recordedSinceMs() ?? nowMs)) / 1000),
    unplaced: [...rowsThatAsked(writing.existing)].filter((row) => row >= 0 && !placed.has(row)).length,
    namespaces: traffic.map((each) => adviseNamespace(each, seenZone)),
  };
}

function rowsThatAsked(existing: ReadonlyMap<string, ReadonlyMap<number, number>>): Set<number> {
  return new Set([...existing.values()].flatMap((byRow) => [...byRow.keys()]));
}
