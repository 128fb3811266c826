/*
 * The expired answer that is better than none (RFC 8767): when it may be given, and in what form.
 *
 * A denial goes stale only in front of data. Pods find a Service behind denials: web.shop is web.shop.apps.svc.Z, denied, and only then
 * web.shop.svc.Z. SERVFAIL for the first ends musl's search, and the stale answer for the second would never be asked for. A denial that
 * leads to nothing denies nothing: whether such a name exists by now, nobody knows.
 */
import type { AnswerCache } from "../cache/answer-cache.ts";
import { type CacheEntry, provesName } from "../cache/entry.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Absences } from "../search/absences.ts";
import type { ZoneKnowledge } from "../search/zone-knowledge.ts";
import { ExtendedError, isHostType, RrClass, RrType } from "../wire/codes.ts";
import { type Question, withName } from "../wire/question.ts";
import type { Answer } from "./answer.ts";
import type { Tell } from "./share-in-flight.ts";

/** The TTL of a stale answer, and how long stale answers are given before upstream is asked again (RFC 8767 §4, §5). */
export const staleTtlSeconds = 30;

/** The TTL of a stale denial: the longest life of any denial of a cluster name, for Services come and go. */
const staleDenialTtlSeconds = 5;

/** What a stale answer says: records, a name without records of the type, or NXDOMAIN. */
export type StaleVerdict = "data" | "noData" | "denied";

/** Looks for stale answers. */
export interface StaleAnswers {
  /** What the answer says that `find` would return; undefined where it would return none. */
  verdict(question: Question): StaleVerdict | undefined;
  /** The stale answer to `question`, or undefined. Never without RD, which says that the client does not want it (RFC 8767 §5). */
  find(question: Question): Answer | undefined;
  /**
   * Returns what to tell the fresh answer, once it is there. `tell` is told that or, if it is none or takes longer than `staleAfterMs`, the
   * stale one; in the latter case it may be told twice. A late answer still goes into the cache.
   */
  preferFresh(question: Question, tell: Tell): Tell;
}

/** What stale answers are found in, and by. */
export interface StaleParts {
  readonly cache: Pick<AnswerCache, "findStale" | "findExpiredDenial" | "use">;
  readonly absences: Pick<Absences, "parentsThatDeny">;
  readonly knowledge: Pick<ZoneKnowledge, "soa">;
  readonly clock: Clock;
  /** The one that the process hashes names with. */
  readonly hashSeed: number;
  /** May change while queries run. */
  readonly limits: { readonly staleAfterMs: number };
  /** What a client may ask for once this name is denied (search/later-names). */
  laterNames(name: Uint8Array): readonly Uint8Array[];
}

/** Creates a look into the cache of these parts. */
export function createStaleAnswers(parts: StaleParts): StaleAnswers {
  const { cache, absences, clock, hashSeed } = parts;

  /** The stale answer, for one client. */
  function take(question: Question): Answer | undefined {
    const answer = find(question);
    return answer?.kind === "message" ? { ...answer, entry: cache.use(answer.entry) } : answer;
  }

  function find(question: Question): Answer | undefined {
    if (!question.recursionDesired) return undefined;
    const entry = cache.findStale(question, clock.nowMs());
    if (entry === undefined) return findDenial(question);
    const extendedError = ExtendedError.staleAnswer;
    return { kind: "message", entry, fixedTtlSeconds: staleTtlSeconds, extendedError, source: "stale" };
  }

  /** The expired denial of the name, or of its parent, provided that the client may find data after it. */
  function findDenial(question: Question): Answer | undefined {
    if (!isHostType(question.type) || question.class !== RrClass.IN) return undefined;
    const denial = denialOf(question);
    if (denial === undefined || hasData(question, question.name)) return undefined;
    return parts.laterNames(question.name).some((name) => hasData(question, name)) ? denial : undefined;
  }

  function denialOf(question: Question): Answer | undefined {
    const nowMs = clock.nowMs();
    const entry = cache.findExpiredDenial(question, nowMs);
    const extendedError = ExtendedError.staleNxdomain;
    const ttlSeconds = staleDenialTtlSeconds;
    if (entry !== undefined)
      return { kind: "message", entry, fixedTtlSeconds: ttlSeconds, extendedError, source: "stale" };
    const ofParent = parentDenialOf(question, nowMs);
    const soa = parts.knowledge.soa();
    if (ofParent === undefined || soa === undefined) return undefined;
    return { kind: "denial", soa, ttlSeconds, extendedError, expiredAtMs: ofParent.expiresAtMs };
  }

  function parentDenialOf(question: Question, nowMs: number): CacheEntry | undefined {
    for (const offset of absences.parentsThatDeny(question.name, nowMs)) {
      const parent = withName(question, question.name.subarray(offset), hashSeed);
      const entry = cache.findExpiredDenial({ ...parent, type: RrType.A }, nowMs);
      if (entry !== undefined) return entry;
    }
    return undefined;
  }

  function hasData(question: Question, name: Uint8Array): boolean {
    const nowMs = clock.nowMs();
    const named = withName(question, name, hashSeed);
    return [RrType.A, RrType.AAAA].some((type) => cache.findStale({ ...named, type }, nowMs)?.kind === "answer");
  }

  return {
    verdict(question) {
      const answer = find(question);
      if (answer === undefined) return undefined;
      if (answer.kind !== "message") return "denied";
      if (answer.entry.kind === "answer") return "data";
      return provesName(answer.entry) ? "noData" : "denied";
    },
    find: take,
    preferFresh(question, tell) {
      if (find(question) === undefined) return tell;
      const cancel = clock.after(parts.limits.staleAfterMs, () => {
        const stale = take(question);
        if (stale !== undefined) tell(stale);
      });
      return (answer) => {
        cancel();
        const isNone = answer.kind === "error" || answer.kind === "dropped";
        tell(isNone ? (take(question) ?? answer) : answer);
      };
    },
  };
}
