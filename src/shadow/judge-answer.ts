/*
 * Was the answer that nodens would have given right? The pod's own reply is the measure.
 */
import { ReplySource } from "../listen/listen-counters.ts";
import { Rcode } from "../wire/codes.ts";
import type { ShadowAnswer } from "./answer-in-shadow.ts";
import { isAnswer, relationOf, type ReplyDigest } from "./compare-replies.ts";
import type { Verdict } from "./figures.ts";

/** What is known beside the two replies. */
export interface Evidence {
  /** Whether upstream has said the same so lately that it may still be given. */
  saidSo(reply: ReplyDigest): boolean;
  /** Whether the denial rests on a parent whose absence was only assumed. */
  wasAssumed(): boolean;
}

/** Judges an answer by the reply that the pod got. */
export function judgeAnswer(ours: ShadowAnswer, real: ReplyDigest, evidence: Evidence): Verdict {
  const { digest } = ours;
  if (digest === undefined) return "unheard";
  if (!ours.fitsQuery) return "wrong";
  if (digest.isCut || real.isCut) return "truncated";
  const relation = relationOf(digest, real);
  if (relation !== "different") return relation;
  if (!isAnswer(real)) return isAnswer(digest) ? "spared" : "same";
  if (!isAnswer(digest)) return "unheard";
  if (ours.source === ReplySource.stale) return "stale";
  if (evidence.saidSo(digest)) return "changed";
  return digest.rcode === Rcode.NXDOMAIN && evidence.wasAssumed() ? "assumed" : "wrong";
}
