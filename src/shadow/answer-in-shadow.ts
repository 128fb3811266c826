/*
 * The answer that nodens would give to a query: over the same steps and shaped in the same way as for a client that asks it, but nobody gets it.
 */
import { ageSecondsOf } from "../cache/entry.ts";
import { ReplySource } from "../listen/listen-counters.ts";
import type { Answer } from "../resolve/answer.ts";
import type { Resolver } from "../resolve/resolver.ts";
import type { Clock } from "../runtime/clock.ts";
import type { InferringRule } from "../search/rules.ts";
import { ExtendedError, Rcode } from "../wire/codes.ts";
import { composeDenial } from "../wire/denial.ts";
import { HeaderOffset, headerSizeBytes, maxMessageSizeBytes } from "../wire/header.ts";
import { readU16 } from "../wire/octets.ts";
import { type ClientQuery, copyQuery } from "../wire/query.ts";
import { composeError, shapeReply } from "../wire/shape-reply.ts";
import { digestOf, type ReplyDigest } from "./compare-replies.ts";

/** What nodens would have done. */
export interface ShadowAnswer {
  /** What the reply says; undefined where there would have been none. */
  readonly digest: ReplyDigest | undefined;
  /** Whether ID and question are those of the query. */
  readonly fitsQuery: boolean;
  /** A ReplySource. */
  readonly source: number;
  /** The rule by which the name was denied without asking. */
  readonly rule: InferringRule | undefined;
}

/** Answers in the shadow. `query` is read during the call only; `client` is its sender as text. The promise never rejects. */
export type AnswerInShadow = (
  query: ClientQuery,
  client: string,
  isTcp: boolean,
) => ShadowAnswer | Promise<ShadowAnswer>;

/** One answer at a time is written, and read at once. */
const written = new Uint8Array(maxMessageSizeBytes);

/** Creates it over a resolver. `maxUdpReplySizeBytes` is the largest reply over UDP, as the settings say now. */
export function createShadowAnswers(
  resolver: Resolver,
  clock: Clock,
  maxUdpReplySizeBytes: () => number,
): AnswerInShadow {
  function limitFor({ hasEdns, udpSizeBytes }: ClientQuery, isTcp: boolean): number {
    if (isTcp) return maxMessageSizeBytes;
    return hasEdns ? Math.min(udpSizeBytes, maxUdpReplySizeBytes()) : udpSizeBytes;
  }

  function shape(answer: Answer, query: ClientQuery, isTcp: boolean): ShadowAnswer {
    if (answer.kind === "dropped")
      return { digest: undefined, fitsQuery: true, source: ReplySource.error, rule: undefined };
    if (answer.kind === "error")
      return read(query, composeError(written, query, answer.rcode, answer.extendedError), ReplySource.error);
    const limit = limitFor(query, isTcp);
    if (answer.kind === "denial")
      return read(query, composeDenial(written, query, answer.soa, answer.ttlSeconds, limit), ReplySource.rule);
    const { entry, fixedTtlSeconds, extendedError } = answer;
    const age = ageSecondsOf(entry, clock.nowMs());
    const size = shapeReply(written, entry, query, age, fixedTtlSeconds, extendedError, limit);
    return read(query, size, answer.source === "stale" ? ReplySource.stale : ReplySource.upstream);
  }

  return (query, client, isTcp) => {
    if (query.ednsVersion > 0)
      return read(query, composeError(written, query, Rcode.BADVERS, ExtendedError.none), ReplySource.error);
    const refusal = resolver.refuse(query);
    if (refusal !== undefined)
      return read(query, composeError(written, query, refusal, ExtendedError.none), ReplySource.error);
    const nowMs = clock.nowMs();
    const entry = resolver.lookup(query, nowMs);
    const limit = limitFor(query, isTcp);
    if (entry !== undefined) {
      const size = shapeReply(written, entry, query, ageSecondsOf(entry, nowMs), 0, ExtendedError.none, limit);
      return read(query, size, ReplySource.cache);
    }
    const absence = resolver.deny(query, nowMs);
    if (absence !== undefined) {
      const { rule, soa, ttlSeconds } = absence;
      return read(query, composeDenial(written, query, soa, ttlSeconds, limit), ReplySource.rule, rule);
    }
    const kept = copyQuery(query);
    const later = Promise.withResolvers<Answer>();
    const answer = resolver.resolve(kept, client, later.resolve);
    return answer === "later" ? later.promise.then((late) => shape(late, kept, isTcp)) : shape(answer, kept, isTcp);
  };
}

/** Reads what was written as a client would. */
function read(query: ClientQuery, sizeBytes: number, source: number, rule?: InferringRule): ShadowAnswer {
  const digest = digestOf(written.subarray(0, sizeBytes));
  return { digest, fitsQuery: digest !== undefined && fits(query), source, rule };
}

function fits({ id, packet, questionEnd }: ClientQuery): boolean {
  if (readU16(written, HeaderOffset.id) !== id) return false;
  for (let at = headerSizeBytes; at < questionEnd; at += 1) if (written[at] !== packet[at]) return false;
  return true;
}
