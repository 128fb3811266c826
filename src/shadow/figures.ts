/*
 * What the shadow has found out, as plain integers that only grow, and the sentences that they make.
 */

/** How the answer that nodens would have given stands to the one that the pod got. */
export const verdicts = {
  same: "the same code and the same records, whatever their order and TTLs",
  partial: "the same code, and some of the records: the server gives a different part of them each time",
  changed: "what upstream itself had said, and its TTL was not over: the record has changed since",
  stale: "an expired answer, because upstream had not answered",
  truncated: "one of the two was cut (TC), so they cannot be compared",
  spared: "upstream answered with an error, and nodens would have had an answer",
  unheard: "nodens would have had to ask itself: its question was answered by nothing that passed",
  assumed: "denied because a parent was taken to be absent, which nodens would have asked for",
  wrong: "none of these: an error of nodens",
} as const;

/** One of them. */
export type Verdict = keyof typeof verdicts;

/** Their names, in order. */
export const verdictNames = Object.keys(verdicts) as readonly Verdict[];

/** What became of copies. `duplicate` is a packet that passed two interfaces, `unmatched` a reply to a query that was not seen. */
export const copyOutcomes = [
  "used",
  "dropped",
  "duplicate",
  "unmatched",
  "malformed",
  "fragment",
  "cut",
  "lost_stream",
] as const;

/** One of them. */
export type CopyOutcome = (typeof copyOutcomes)[number];

/** The counters. */
export interface ShadowFigures {
  /** Queries of pods, by where nodens would have got the reply: the numbers of ReplySource. */
  readonly queries: Float64Array;
  /** Queries that no reply was seen to, after which the pod asked again or gave up. */
  unanswered: number;
  /** Connection-tracking entries that pods' questions took. */
  flows: number;
  readonly verdicts: Record<Verdict, number>;
  /** All but `dropped` and `lost_stream`, which others count. */
  readonly copies: Record<CopyOutcome, number>;
}

/** Creates counters that are all 0, for this many sources of replies. */
export function createShadowFigures(sourceCount: number): ShadowFigures {
  return {
    queries: new Float64Array(sourceCount),
    unanswered: 0,
    flows: 0,
    verdicts: Object.fromEntries(verdictNames.map((name) => [name, 0])) as Record<Verdict, number>,
    copies: Object.fromEntries(copyOutcomes.map((name) => [name, 0])) as Record<CopyOutcome, number>,
  };
}
