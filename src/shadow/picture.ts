/*
 * What the shadow has found out, at one moment, as plain data and sentences. Made when somebody looks, and never before.
 */
import { rcodeName, typeName } from "../wire/codes.ts";
import { type CopyOutcome, type ShadowFigures, type Verdict, verdictNames, verdicts } from "./figures.ts";
import type { ComparedQuery } from "./shadow.ts";

/** What a picture is made from. */
export interface ShadowPictureParts {
  readonly figures: ShadowFigures;
  /** The names of the sources of replies, by number. */
  readonly sources: readonly string[];
  readonly upstreamQuestions: number;
  readonly droppedCopies: number;
  readonly lostStreams: number;
  /** For how long the shadow has been watching, in seconds. */
  readonly forSeconds: number;
  /** How often a pod asked again, by what had become of its query and by how long it had waited. */
  readonly waits: readonly WaitCount[];
  readonly differences: readonly Difference[];
}

/** How often pods asked again after this long; `first` says whether a reply had been seen by then. */
export interface WaitCount {
  readonly after: string;
  readonly first: string;
  readonly count: number;
}

/** An answer that differed, for people. */
export interface Difference {
  readonly verdict: Verdict;
  readonly client: string;
  readonly name: string;
  readonly type: string;
  readonly source: string;
  readonly ours: string;
  readonly real: string;
}

/** What has been found out. Shares are from 0 to 1. */
export type ShadowPicture = ReturnType<typeof takeShadowPicture>;

/** Takes the picture. */
export function takeShadowPicture(parts: ShadowPictureParts) {
  const { figures, upstreamQuestions, forSeconds, waits, differences } = parts;
  const bySource = Object.fromEntries(parts.sources.map((name, source) => [name, figures.queries[source] ?? 0]));
  const queries = sum(Object.values(bySource));
  const answeredHere = (bySource["cache"] ?? 0) + (bySource["rule"] ?? 0);
  const copies: Record<CopyOutcome, number> = {
    ...figures.copies,
    dropped: parts.droppedCopies,
    lost_stream: parts.lostStreams,
  };
  const picture = {
    forSeconds: Math.round(forSeconds),
    queries,
    queriesPerSecond: round(queries / Math.max(1, forSeconds)),
    bySource,
    answeredAtOnce: share(answeredHere, queries),
    upstreamQuestions,
    savedQueries: Math.max(0, queries - upstreamQuestions),
    savedShare: share(Math.max(0, queries - upstreamQuestions), queries),
    conntrackEntries: figures.flows,
    unanswered: figures.unanswered,
    waits: waits.filter(({ count }) => count > 0),
    waited: sum(waits.map(({ count }) => count)),
    compared: sum(verdictNames.map((name) => figures.verdicts[name])),
    verdicts: { ...figures.verdicts },
    meanings: verdicts,
    differences,
    copies,
    /** Where copies were dropped, everything else is told of what is left, and waits may be those of copies. */
    isComplete: copies.dropped === 0,
  };
  return { sentence: sentenceOf(picture), ...picture };
}

/** The one sentence that says it. */
function sentenceOf(told: {
  readonly forSeconds: number;
  readonly queries: number;
  readonly savedShare: number;
  readonly conntrackEntries: number;
  readonly waited: number;
  readonly verdicts: Readonly<Record<Verdict, number>>;
  readonly copies: Readonly<Record<CopyOutcome, number>>;
}): string {
  const { queries, waited, copies } = told;
  if (queries === 0) return `No question of a pod passed in ${duration(told.forSeconds)}.`;
  const parts = [
    `In ${duration(told.forSeconds)} pods of this node asked ${queries} questions over ${told.conntrackEntries} connection-tracking entries; nodens would have spared kube-dns ${Math.round(told.savedShare * 100)} % of them.`,
    waited === 0 ? "No pod waited for DNS." : `${waited} times a pod had to ask again.`,
    `${told.verdicts.wrong === 0 ? "No answer" : `${told.verdicts.wrong} answers`} of nodens would have been wrong.`,
  ];
  if (copies.dropped > 0)
    parts.push(
      `${copies.dropped} copies were dropped, so these figures are of a part of the traffic, and some waits may be losses of copies.`,
    );
  return parts.join(" ");
}

/** A difference for people. `name` is the question's, in the form in which names are told. */
export function describeDifference(
  verdict: Verdict,
  { client, type, source, ourRcode, realRcode }: ComparedQuery,
  name: string,
  sources: readonly string[],
): Difference {
  return {
    verdict,
    client,
    name,
    type: typeName(type),
    source: sources[source] ?? "",
    ours: ourRcode === undefined ? "" : rcodeName(ourRcode),
    real: rcodeName(realRcode),
  };
}

/** The counters that belong together for the line that is logged every minute. */
export function growthOf(now: ShadowPicture, before: ShadowPicture | undefined) {
  const grown = (value: (picture: ShadowPicture) => number) => value(now) - (before === undefined ? 0 : value(before));
  const queries = grown((picture) => picture.queries);
  return {
    queries,
    upstreamQuestions: grown((picture) => picture.upstreamQuestions),
    savedShare: share(
      Math.max(
        0,
        grown((picture) => picture.queries - picture.upstreamQuestions),
      ),
      queries,
    ),
    conntrackEntries: grown((picture) => picture.conntrackEntries),
    waited: grown((picture) => picture.waited),
    unanswered: grown((picture) => picture.unanswered),
    wrong: grown((picture) => picture.verdicts.wrong),
    droppedCopies: grown((picture) => picture.copies.dropped),
  };
}

function duration(seconds: number): string {
  if (seconds < 120) return `${seconds} seconds`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} minutes` : `${Math.round(seconds / 3600)} hours`;
}

function share(part: number, whole: number): number {
  return whole === 0 ? 0 : round(part / whole);
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
