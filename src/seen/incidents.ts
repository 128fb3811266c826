/*
 * Incidents: when pods wait or lookups fail above a rate, the queries of the seconds before are copied out of the recorder, which would soon
 * overwrite them, with what the counters did meanwhile.
 */
import { causeNames, causes } from "./causes.ts";
import type { PictureParts } from "./picture.ts";
import { tailOf, type ToldQuery } from "./told-queries.ts";

/** A copy of the seconds before an incident was noticed. */
export interface Incident {
  readonly noticedAtMs: number;
  readonly why: string;
  /** Counters that grew in these seconds, and by how much. */
  readonly moved: readonly { readonly label: string; readonly by: number }[];
  /** The queries, oldest first; `secondsAgo` counts back from the moment of the copy. Made anew at each call. */
  queries(): ToldQuery[];
}

/** Watches for incidents. */
export interface Incidents {
  /** Looks at the last seconds. To be called every second. */
  look(nowMs: number): void;
  /** The incidents that are kept, newest first. */
  kept(): readonly Incident[];
  total(): number;
}

const lookBackMs = 10_000;
/** Waits begin up to 5 s before they show. */
const frozenMs = 20_000;
const frozenQueries = 1000;
const keptIncidents = 4;
const pauseMs = 300_000;

/** So many in ten seconds are an incident. */
const least = { waits: 5, servfail: 20 } as const;

/** Creates a watch that has seen nothing. It copies at most once in five minutes, and keeps four copies. */
export function createIncidents(parts: PictureParts): Incidents {
  const kept: Incident[] = [];
  let total = 0;
  let quietUntilMs = 0;

  function freeze(why: string, nowMs: number): void {
    quietUntilMs = nowMs + pauseMs;
    total += 1;
    const { ring, columns } = parts;
    const ofNode = causeNames.flatMap((name, index) => {
      const by = ring.grownBetween(columns.causes + index, nowMs - frozenMs, nowMs);
      return by > 0 ? [{ label: causes[name].label, by }] : [];
    });
    const moved = [...ofNode, ...movedForPods(nowMs - frozenMs)];
    const queries = tailOf(parts, { limit: frozenQueries, newerThanMs: frozenMs }, nowMs);
    // A thousand objects with their texts would be 0.8 MiB of V8's heap, for hours; as octets they are a fifth, beside it.
    const octets = Buffer.from(JSON.stringify(queries));
    const readQueries = () => JSON.parse(octets.toString()) as ToldQuery[];
    kept.unshift({ noticedAtMs: nowMs, why, moved, queries: readQueries });
    kept.length = Math.min(kept.length, keptIncidents);
  }

  /** What was wrong for single pods that waited, by the number of waits. */
  function movedForPods(sinceMs: number): { label: string; by: number }[] {
    const recent = parts.seen.waits.recent().filter(({ atMs }) => atMs >= sinceMs);
    const labels = recent.flatMap(({ podCauses }) => podCauses.map(({ label }) => label));
    return [...Map.groupBy(labels, (label) => label)].map(([label, { length: by }]) => ({ label, by }));
  }

  return {
    look(nowMs) {
      if (nowMs < quietUntilMs) return;
      const { ring, columns } = parts;
      const grown = (counter: number) => ring.grownBetween(counter, nowMs - lookBackMs, nowMs);
      const [waits, servfail] = [grown(columns.waits), grown(columns.servfail)];
      if (waits >= least.waits) freeze(`pods asked again ${waits} times in 10 s`, nowMs);
      else if (servfail >= least.servfail) freeze(`SERVFAIL was answered ${servfail} times in 10 s`, nowMs);
    },
    kept: () => kept,
    total: () => total,
  };
}
