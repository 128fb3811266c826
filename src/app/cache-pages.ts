/*
 * The pages about the cache: what is kept of a name, and that it be forgotten.
 */
import { type CacheParts, flushCache, printCacheView, printFlushed, showCache } from "../explain/cache-page.ts";
import type { LocalPage } from "../observe/admin-pages.ts";
import type { Log } from "../runtime/log.ts";
import { tellTrip } from "../seen/told-queries.ts";
import type { AppParts } from "./app-parts.ts";

/** What these pages need of a running nodens. */
export function cachePartsOf({ chain, clock, reload, seen }: AppParts): CacheParts {
  return {
    ...chain,
    staleSeconds: () => reload.inForce().cache.staleSeconds,
    // An entry is stored when the trip of its question ends, or right after.
    sourceOf: (nameHash, type, storedAtMs) =>
      tellTrip(seen.trips.finder()(nameHash, type, storedAtMs - slackMs, storedAtMs)),
    nowMs: clock.nowMs,
  };
}

const slackMs = 20;

/** What is kept of the name in the parameters. */
export function cachePage(parameters: URLSearchParams, parts: CacheParts): ReturnType<LocalPage> {
  const shown = showCache(parameters, parts);
  if ("wrong" in shown) return shown;
  const isAbsent = shown.view.kept.length === 0;
  return parameters.has("json") ? { json: shown.view, isAbsent } : { text: printCacheView(shown.view), isAbsent };
}

/** Forgets it. The log says what was forgotten, for it is a change that somebody may look for later. */
export function flushPage(parameters: URLSearchParams, parts: CacheParts, log: Log): ReturnType<LocalPage> {
  const done = flushCache(parameters, parts);
  if ("wrong" in done) return done;
  const { entries, failures } = done.flushed;
  log.info({ ...done.flushed }, "flushed a name from the cache");
  const isAbsent = entries + failures === 0;
  return parameters.has("json") ? { json: done.flushed, isAbsent } : { text: printFlushed(done.flushed), isAbsent };
}
