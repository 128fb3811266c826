/*
 * The state of a node in one sentence: what somebody with time-outs wants to know first.
 */
import { countOf } from "./number-text.ts";
import type { Picture } from "./picture.ts";
import { onlyWatches } from "./top-head.ts";
import { waitedLookups } from "./waited-lookups.ts";

/** What nodens says of itself. */
export interface SentenceHead {
  readonly isReady: boolean;
  readonly isFailOpen: boolean;
  readonly mode: string;
  /** Why it is not ready. */
  readonly reasons: readonly string[];
}

/** The sentence: `tone` is how bad it is, `verdict` the first words, `text` the rest. */
export interface Sentence {
  readonly tone: "well" | "was" | "bad" | "idle";
  readonly verdict: string;
  readonly text: string;
}

const lookBackMinutes = 10;
const nowSeconds = 60;

/** Says it. */
export function sentenceOf(head: SentenceHead, picture: Picture): Sentence {
  const { isReady, isFailOpen, reasons } = head;
  if (isFailOpen)
    return {
      tone: "bad",
      verdict: "Pods ask kube-dns.",
      text: "Test packets are not answered, or nodens holds back, so that nobody waits for it.",
    };
  if (!isReady)
    return { tone: "bad", verdict: "Not ready.", text: reasons.length === 0 ? "" : `${reasons.join("; ")}.` };
  const waits = picture.waits.recent.filter(({ secondsAgo }) => secondsAgo <= lookBackMinutes * 60);
  if (waits.length > 0) return sentenceOfWaits(picture, waits);
  if (picture.queriesPerSecond === 0)
    return { tone: "idle", verdict: "All well, and nobody asks.", text: "No query has come in the last minute." };
  const answered = onlyWatches(head) ? "would be answered here" : "answered here";
  const text = `${percent(picture.answeredHere)} ${answered}; no pod waited in the last ${lookBackMinutes} minutes.`;
  return { tone: "well", verdict: "All well:", text };
}

/** What had become of the queries that came again, told of several. */
const fates: Readonly<Record<string, string>> = {
  answered: "the replies were lost on the way to the pod",
  waiting: "upstream had not answered yet",
  shed: "a limit was reached",
  failed: "the answer was an error",
  unseen: "they were lost on the way from the pod",
};

function sentenceOfWaits(picture: Picture, waits: Picture["waits"]["recent"]): Sentence {
  const [last] = waits;
  const byFate = Map.groupBy(waits, ({ first }) => first);
  const most = [...byFate].toSorted(([, one], [, other]) => other.length - one.length)[0]?.[0] ?? "";
  const moved = [...new Set(waits.flatMap((wait) => wait.moved.map(({ meaning }) => meaning)))];
  const lookups = waitedLookups(waits).length;
  // Of many waits only the last are told one by one.
  const isAll = picture.waits.last10Minutes <= waits.length;
  const count = isAll ? countOf(lookups, "lookup") : countOf(picture.waits.last10Minutes, "query", "queries");
  const pods = new Set(waits.map(({ client }) => client)).size;
  const who = `${count} of ${pods === 1 ? `the pod ${last?.client ?? ""}` : `${pods} pods`} waited for seconds`;
  const why = `${fates[most] ?? most}${moved.length === 0 ? "" : `, while ${moved.slice(0, 2).join(" and ")}`}`;
  const secondsAgo = last?.secondsAgo ?? 0;
  if (secondsAgo <= nowSeconds) return { tone: "bad", verdict: "Pods wait.", text: `${who}: ${why}.` };
  return { tone: "was", verdict: "Well again.", text: `${who}, ${Math.round(secondsAgo / 60)} min ago: ${why}.` };
}

function percent(share: number): string {
  return `${Math.floor(share * 100)} %`;
}
