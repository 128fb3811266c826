/*
 * What is seen, at one moment, as plain data with texts: what the admin server tells as JSON, and what every view shows. Made when somebody
 * looks, and never before.
 */
import { typeName } from "../wire/codes.ts";
import { nameToText } from "../wire/name-text.ts";
import { causeNames, causes, movedBy } from "./causes.ts";
import { guessByWait, guessLibrary } from "./guess-client.ts";
import { First, firstNames } from "./repeats.ts";
import type { SecondRing } from "./second-ring.ts";
import type { Seen } from "./seen.ts";
import { readWriting, type Writing } from "./written-names.ts";

/** How names are told. */
export type NameForm = "off" | "hashed" | "on";

/** What a picture is made from. Moments are monotonic milliseconds. */
export interface PictureParts {
  readonly seen: Seen;
  readonly ring: SecondRing;
  /** Where counters stand in the ring; `durations` begins one group of buckets for each ending. */
  readonly columns: RingColumns;
  /** The names of the sources of replies, by number. */
  readonly sources: readonly string[];
  /** Where lookups end, and the upper bounds of the buckets of their durations, in seconds. */
  readonly endings: readonly string[];
  /** Those of them that need nobody else. */
  readonly hereEndings: readonly string[];
  readonly boundsSeconds: readonly number[];
  /** The cluster zone, as text. */
  readonly zone: string;
  readonly names: NameForm;
}

/** Where counters stand in the ring. */
export interface RingColumns {
  readonly causes: number;
  readonly waits: number;
  readonly clusterSends: number;
  readonly otherSends: number;
  readonly openedFlows: number;
  readonly servfail: number;
  readonly durations: number;
}

/** What is seen. Rates are per second over the last minute, shares from 0 to 1. */
export type Picture = ReturnType<typeof takePicture>;

const lookBackMs = 60_000;
const stripMs = 900_000;
const tenMinutesMs = 600_000;
const stripSteps = 90;
const shownRows = 50;

/** Takes the picture of a moment. */
export function takePicture(parts: PictureParts, nowMs: number) {
  const { seen, ring, columns } = parts;
  const writing = readWriting(seen, parts.zone);
  const overMs = Math.max(1000, Math.min(lookBackMs, ring.reachMs(nowMs)));
  const rate = (counter: number) => (ring.grownBetween(counter, nowMs - overMs, nowMs) / overMs) * 1000;
  const flow = Object.fromEntries(
    parts.endings.map((ending, index) => [ending, flowOf(parts, index, nowMs - overMs, nowMs, overMs)]),
  );
  const queriesPerSecond = Object.values(flow).reduce((sum, { perSecond }) => sum + perSecond, 0);
  const sends = { kubeDns: rate(columns.clusterSends), others: rate(columns.otherSends) };
  return {
    queriesPerSecond,
    flow,
    /** The share that needed nobody else. */
    answeredHere:
      queriesPerSecond === 0
        ? 0
        : parts.hereEndings.reduce((sum, ending) => sum + (flow[ending]?.perSecond ?? 0), 0) / queriesPerSecond,
    sends,
    saved: {
      queriesPerSecond: Math.max(0, queriesPerSecond - sends.kubeDns - sends.others),
      // Each socket of a client would be an entry of its own; libc sends A and AAAA from one.
      conntrackEntriesPerSecond: Math.max(
        0,
        queriesPerSecond * (1 - pairedShare(seen) / 2) - rate(columns.openedFlows),
      ),
    },
    waits: waitsOf(parts, nowMs),
    clients: clientsOf(parts, writing, nowMs),
    names: namesOf(parts, nowMs),
    /** How many clients ask at present; of some thousand at most. */
    clientCount: clientRowsOf(seen).length,
    denied: deniedOf(writing),
    /** How far back the record goes. */
    recordedSeconds: (nowMs - (seen.recordedSinceMs() ?? nowMs)) / 1000,
    moved: causeNames.map((name, index) => ({
      label: causes[name].label,
      lastMinute: ring.grownBetween(columns.causes + index, nowMs - lookBackMs, nowMs),
      last15Minutes: ring.grownBetween(columns.causes + index, nowMs - stripMs, nowMs),
    })),
    strip: stripOf(parts, nowMs),
    forgotten: seen.forgottenCount(),
  };
}

/** A name, or its hash where it was not kept, in the form in which names are told: "" where they are not. */
export function nameAsTold(name: Uint8Array | undefined, hash: number, form: NameForm): string {
  if (form === "off") return "";
  if (form === "on" && name !== undefined) return nameToText(name);
  return `#${(hash >>> 0).toString(16).padStart(8, "0")}`;
}

function flowOf(
  { ring, columns, boundsSeconds }: PictureParts,
  ending: number,
  fromMs: number,
  toMs: number,
  overMs: number,
) {
  const buckets = boundsSeconds.length + 1;
  const start = columns.durations + ending * buckets;
  const counts = Array.from({ length: buckets }, (_, index) => ring.grownBetween(start + index, fromMs, toMs));
  const total = counts.reduce((sum, count) => sum + count, 0);
  return {
    perSecond: (total / overMs) * 1000,
    p50Ms: quantileMs(counts, total, 0.5, boundsSeconds),
    p99Ms: quantileMs(counts, total, 0.99, boundsSeconds),
  };
}

/** The upper bound of the bucket that holds the quantile; undefined if there was nothing, Infinity beyond the last bound. */
function quantileMs(
  counts: readonly number[],
  total: number,
  share: number,
  bounds: readonly number[],
): number | undefined {
  if (total === 0) return undefined;
  let left = total * share;
  const bucket = counts.findIndex((count) => (left -= count) <= 0);
  return (bounds[bucket] ?? Number.POSITIVE_INFINITY) * 1000;
}

function pairedShare({ clients }: Seen): number {
  const { looked, samePortPairs } = clients.columns;
  const sum = (column: Float32Array) => column.reduce((total, count) => total + count, 0);
  const total = sum(looked);
  return total === 0 ? 0 : Math.min(1, (sum(samePortPairs) * 2) / total);
}

const meanings: Readonly<Record<number, string>> = {
  [First.answered]: "answered; the reply was lost on the way to the pod",
  [First.waiting]: "upstream had not answered yet",
  [First.shed]: "not answered, because a limit was reached",
  [First.failed]: "answered with an error: musl waits then, others ask again at once",
  [First.unseen]: "lost on the way from the pod",
};

function waitsOf({ seen, ring, columns, names }: PictureParts, nowMs: number) {
  const recent = seen.waits.recent().filter(({ atMs }) => nowMs - atMs <= stripMs);
  return {
    last15Minutes: ring.grownBetween(columns.waits, nowMs - stripMs, nowMs),
    last10Minutes: ring.grownBetween(columns.waits, nowMs - tenMinutesMs, nowMs),
    lastMinuteBySecond: ring.series(columns.waits, lookBackMs, 60, nowMs),
    recent: recent.slice(0, shownRows).map((wait) => ({
      secondsAgo: Math.round((nowMs - wait.atMs) / 1000),
      client: wait.client,
      name: nameAsTold(wait.name, wait.nameHash, names),
      type: typeName(wait.type),
      afterMs: wait.afterMs,
      first: firstNames[wait.first] ?? "",
      meaning: meanings[wait.first] ?? "",
      moved: [...wait.podCauses, ...movedBy(wait, ring, columns.causes)],
    })),
  };
}

/** The rows of those who ask, whoever asks most first. */
function clientRowsOf({ clients }: Seen): number[] {
  const { queries } = clients.columns;
  return Array.from({ length: clients.rowCount }, (_, row) => row)
    .filter((row) => (queries[row] as number) >= 0.5)
    .toSorted((one, other) => (queries[other] as number) - (queries[one] as number));
}

function clientsOf({ seen }: PictureParts, writing: Writing, nowMs: number) {
  const { clients, waits } = seen;
  const { columns } = clients;
  const perCount = clients.decay.secondsPerCount(nowMs);
  const recent = waits.recent().filter(({ atMs }) => nowMs - atMs <= stripMs);
  return clientRowsOf(seen)
    .slice(0, shownRows)
    .map((row) => {
      const queries = columns.queries[row] as number;
      const weighed = columns.weighed[row] as number;
      const share = (column: Float32Array) => (weighed === 0 ? 0 : Math.min(1, (column[row] as number) / weighed));
      const client = clients.clientIn(row);
      const own = recent.filter((wait) => wait.client === client);
      return {
        client,
        namespace: writing.namespaceOf(row),
        library: guessLibrary(columns, row) || guessByWait(own[0]?.afterMs ?? 0),
        ndots: writing.ndotsOf(row),
        perSecond: queries / perCount,
        hitShare: share(columns.hits),
        wasteShare: share(columns.waste),
        nxdomainShare: share(columns.nxdomain),
        waited: own.length,
        lastWait:
          own[0] === undefined ? "" : `${(own[0].afterMs / 1000).toFixed(1)} s, ${firstNames[own[0].first] ?? ""}`,
      };
    });
}

function namesOf({ seen, names: form }: PictureParts, nowMs: number) {
  const { names } = seen;
  const { queries, nxdomain } = names.columns;
  const perCount = names.decay.secondsPerCount(nowMs);
  const rows = Array.from({ length: names.rowCount }, (_, row) => row);
  return rows
    .filter((row) => (queries[row] as number) >= 0.5)
    .toSorted((one, other) => (queries[other] as number) - (queries[one] as number))
    .slice(0, shownRows)
    .map((row) => ({
      name: nameAsTold(names.nameIn(row), names.hashIn(row), form),
      perSecond: (queries[row] as number) / perCount,
      nxdomainShare: Math.min(1, (nxdomain[row] as number) / (queries[row] as number)),
    }));
}

/** Upper bounds of the strip's rows, in ms; the last row has none. */
const stripBoundsMs = [1, 10, 100, 1000] as const;

/** Fifteen minutes in columns of ten seconds: how many answers took how long, and how many pods waited. */
function stripOf({ ring, columns, endings, boundsSeconds }: PictureParts, nowMs: number) {
  const counts = [...stripBoundsMs, 0].map(() => Array.from({ length: stripSteps }, () => 0));
  const buckets = boundsSeconds.length + 1;
  for (let bucket = 0; bucket < buckets; bucket += 1) {
    // A bucket belongs to the row in which its upper bound lies.
    const bound = (boundsSeconds[bucket] ?? Number.POSITIVE_INFINITY) * 1000;
    const found = stripBoundsMs.findIndex((limit) => bound <= limit * 1.3);
    const row = counts[found < 0 ? stripBoundsMs.length : found] as number[];
    for (let ending = 0; ending < endings.length; ending += 1) {
      const series = ring.series(columns.durations + ending * buckets + bucket, stripMs, stripSteps, nowMs);
      for (const [step, count] of series.entries()) row[step] = (row[step] as number) + count;
    }
  }
  return {
    secondsPerColumn: stripMs / stripSteps / 1000,
    upToMs: stripBoundsMs,
    answers: counts,
    waits: ring.series(columns.waits, stripMs, stripSteps, nowMs),
  };
}

/** The written names that were denied most, by suffix. */
function deniedOf({ names }: Writing): { name: string; namespace: string; suffix: string; count: number }[] {
  return names
    .slice(0, shownRows)
    .flatMap(({ name, namespace, deniedUnder }) =>
      [...deniedUnder].map(([suffix, count]) => ({ name, namespace, suffix, count })),
    )
    .toSorted((one, other) => other.count - one.count)
    .slice(0, shownRows);
}
