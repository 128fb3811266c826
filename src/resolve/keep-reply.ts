/*
 * Turns what upstream said into an answer: stores it where that is allowed, learns what it shows about the zone, or remembers the failure.
 */
import type { AnswerCache } from "../cache/answer-cache.ts";
import { type CacheEntry, createEntry, provesName } from "../cache/entry.ts";
import type { FailureMemory } from "../cache/failure-memory.ts";
import { judgeLifetime, provesNothing } from "../cache/lifetime.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Absences } from "../search/absences.ts";
import type { NameDenials } from "../search/name-denials.ts";
import type { SearchScope } from "../search/search-scope.ts";
import type { ZoneKnowledge } from "../search/zone-knowledge.ts";
import type { ExchangeResult } from "../upstream/exchange-state.ts";
import { followChain } from "../wire/answer-chain.ts";
import { ExtendedError, isAddressType, otherAddressType, Rcode } from "../wire/codes.ts";
import { soaOf, soaOwner } from "../wire/denial.ts";
import { Flag } from "../wire/header.ts";
import { equalOctets, isAtOrBelow } from "../wire/name.ts";
import type { Question } from "../wire/question.ts";
import { aliasesFirst, withoutProofs } from "../wire/rebuild-reply.ts";
import type { Reply } from "../wire/reply.ts";
import type { Answer } from "./answer.ts";
import type { AskOutcome, RecheckBudget } from "./recheck-budget.ts";
import type { AskResult } from "./schedule-questions.ts";
import { type StaleAnswers, staleTtlSeconds } from "./stale-answers.ts";

/** Bounds on lifetimes (settings: cache). They may change while queries run. */
export interface KeepLimits {
  readonly maxTtlSeconds: number;
  readonly maxDenialTtlSeconds: number;
  /** In the cluster zone and the dynamic zones, where people create Services and expect to find them. */
  readonly maxClusterDenialTtlSeconds: number;
  /** Zones whose names come and go like the cluster's: its reverse zones, and those that say so. Folded, in wire form. */
  readonly dynamicZones: readonly Uint8Array[];
}

/** How long stale answers for a cluster name are given before upstream is asked again. */
const clusterRecheckSeconds = 5;

/** What keeping a reply reads and writes. */
export interface KeepParts {
  readonly cache: AnswerCache;
  readonly failures: FailureMemory;
  readonly absences: Absences;
  readonly nameDenials: NameDenials;
  readonly knowledge: ZoneKnowledge;
  readonly scope: SearchScope;
  readonly stale: StaleAnswers;
  /** The cluster zone (folded, wire form). */
  readonly zone: Uint8Array;
  readonly clock: Clock;
  readonly limits: KeepLimits;
  readonly counters: { unkeptReplies: number };
  /** The budget of the route that questions for this name take. */
  rechecksOf(name: Uint8Array): Pick<RecheckBudget, "noteResult">;
}

/** Turns what came of a question into the answer for whoever waits for it. */
export interface ReplyKeeper {
  /** Turns any outcome into an answer. `key` is the question's (wire/question). A failure is remembered and becomes an error; a shed question says nothing about the name. */
  keepResult(question: Question, key: string, result: AskResult): Answer;
  /** Turns a reply into an answer, which holds a copy of it, and stores what may be stored. */
  keep(question: Question, reply: Reply): Answer;
}

/** Creates a keeper over these parts. */
export function createReplyKeeper(parts: KeepParts): ReplyKeeper {
  const { cache, failures, absences, clock, limits } = parts;

  function keepResult(question: Question, key: string, result: AskResult): Answer {
    if ("shed" in result) return { kind: "dropped", reason: result.shed };
    parts.rechecksOf(question.name).noteResult(outcomeOf(result), clock.nowMs());
    if ("failure" in result) {
      const isSilent = result.failure === "timeout";
      return fail(
        question,
        key,
        Rcode.SERVFAIL,
        isSilent ? ExtendedError.noReachableAuthority : ExtendedError.networkError,
      );
    }
    const rcode = failureRcode(result.reply);
    if (rcode !== undefined) return fail(question, key, rcode, ExtendedError.none);
    failures.forget(key);
    return keep(question, result.reply);
  }

  function fail(question: Question, key: string, rcode: number, extendedError: number): Answer {
    // A failed prefetch is not remembered: the entry is still fresh, and is asked for again once it expires.
    if (cache.findQuestion(question, clock.nowMs()) === undefined)
      failures.remember(key, rcode, recheckSeconds(question), clock.nowMs());
    return { kind: "error", rcode, extendedError };
  }

  /** With a stale answer at hand there is no hurry to ask again (RFC 8767 §5: "failure recheck timer"), but Services move. */
  function recheckSeconds(question: Question): number {
    if (parts.stale.verdict(question) === undefined) return 0;
    return parts.scope(question.name) ? clusterRecheckSeconds : staleTtlSeconds;
  }

  function keep(question: Question, received: Reply): Answer {
    const nowMs = clock.nowMs();
    const isInScope = parts.scope(question.name);
    if (isInScope) learnFrom(question, received, nowMs);
    const { maxTtlSeconds } = limits;
    const isShortLived = isInScope || isAtOrBelowAny(question.name, limits.dynamicZones);
    const maxDenialTtlSeconds = isShortLived
      ? Math.min(limits.maxClusterDenialTtlSeconds, limits.maxDenialTtlSeconds)
      : limits.maxDenialTtlSeconds;
    const stripped = question.dnssecOk ? received : withoutProofs(received, question);
    const chain = followChain(stripped, question);
    const lifetime = judgeLifetime(stripped, question, { maxTtlSeconds, maxDenialTtlSeconds }, chain);
    const reply = aliasesFirst(stripped, chain);
    const isSharedDenial = isInScope && absences.isOn("deniedName", nowMs) && isSharedByTypes(question, reply);
    const entry = createEntry(question, reply, lifetime, maxTtlSeconds, isSharedDenial, nowMs);
    if (provesNothing(reply, lifetime) && parts.stale.verdict(question) !== undefined)
      parts.counters.unkeptReplies += 1;
    else store(entry, question, reply, nowMs);
    return freshAnswer(entry);
  }

  function store(entry: CacheEntry, question: Question, reply: Reply, nowMs: number): void {
    const isLiving = entry.expiresAtMs > nowMs;
    if (isLiving && question.recursionDesired) {
      cache.store(entry);
      return;
    }
    parts.counters.unkeptReplies += 1;
    const isWholeAnswer = (reply.flags & Flag.TC) === 0 && question.recursionDesired;
    // A cache whose TTL counts down may have nothing left of what is fresh here until its end.
    const isHeldFresh = entry.kind === "answer" && cache.findQuestion(question, nowMs)?.kind === "answer";
    if (isWholeAnswer && !isHeldFresh) cache.withdraw(entry);
  }

  /** Learns what a reply about a name under the search suffixes says about the name and the zone. */
  function learnFrom(question: Question, reply: Reply, nowMs: number): void {
    if (isAddressType(question.type)) {
      absences.noteVerdict(question.name, reply.rcode === Rcode.NOERROR, nowMs);
      learnWhatIsDenied(question, reply, nowMs);
    }
    if (reply.rcode !== Rcode.NXDOMAIN) return;
    // Any denial by the zone carries its SOA.
    const soa = soaOf(reply);
    if (soa !== undefined && equalOctets(soa.octets.subarray(0, parts.zone.length), 0, parts.zone))
      parts.knowledge.noteSoa(soa, nowMs);
  }

  /** Whether the zone denies names or types: by NODATA, and by what is said of the other address type. */
  function learnWhatIsDenied(question: Question, reply: Reply, nowMs: number): void {
    const { nameDenials } = parts;
    const hasNothing = reply.answers.length === 0;
    const exists = reply.rcode === Rcode.NOERROR || !hasNothing;
    const other = cache.findQuestion({ ...question, type: otherAddressType(question.type) }, nowMs);
    if (exists && hasNothing && soaOf(reply) !== undefined) nameDenials.noteNoData(question.name);
    if (other !== undefined && exists !== provesName(other)) nameDenials.noteContradiction(question.name);
  }

  /** NXDOMAIN of the name itself, for A or AAAA, from a zone that denies names: it holds for both. */
  function isSharedByTypes(question: Question, reply: Reply): boolean {
    if (reply.rcode !== Rcode.NXDOMAIN || reply.answers.length > 0 || !isAddressType(question.type)) return false;
    const soa = soaOf(reply);
    return parts.nameDenials.areShownBy(question.name, soa && soaOwner(soa));
  }

  return { keepResult, keep };
}

function isAtOrBelowAny(name: Uint8Array, zones: readonly Uint8Array[]): boolean {
  for (const zone of zones) if (isAtOrBelow(name, zone)) return true;
  return false;
}

function outcomeOf(result: ExchangeResult): AskOutcome {
  if ("failure" in result) return "silence";
  return failureRcode(result.reply) === undefined ? "answer" : "failure";
}

/** The answer that a fresh entry gives. The entry is shared, not copied. */
export function freshAnswer(entry: CacheEntry): Answer {
  return { kind: "message", entry, fixedTtlSeconds: 0, extendedError: ExtendedError.none, source: "upstream" };
}

/**
 * The rcode that clients get when a reply is not an answer, or undefined when it is one. An upstream's REFUSED becomes SERVFAIL: it mostly
 * means that the upstream is overloaded, and REFUSED costs musl and glibc more time than SERVFAIL does.
 */
function failureRcode(reply: Reply): number | undefined {
  switch (reply.rcode) {
    case Rcode.NOERROR:
    case Rcode.NXDOMAIN:
      return undefined;
    case Rcode.FORMERR:
    case Rcode.NOTIMP:
    case Rcode.YXDOMAIN:
    case Rcode.YXRRSET:
    case Rcode.NXRRSET:
    case Rcode.NOTZONE:
      return reply.rcode;
    default:
      return Rcode.SERVFAIL;
  }
}
