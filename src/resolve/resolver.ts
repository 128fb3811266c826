/*
 * The chain of steps from a question to its answer, in their order, with the reason for each place. The cache hit is a step of
 * its own (`lookup`): bytes only, no promise. Everything after it may take its time.
 */
import type { AnswerCache } from "../cache/answer-cache.ts";
import { type CacheEntry, createEntry, isAddressType, questionOfEntry } from "../cache/entry.ts";
import type { FailureMemory } from "../cache/failure-memory.ts";
import { addressTypes } from "../cache/key.ts";
import { judgeLifetime } from "../cache/lifetime.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Absence, Absences, SuffixKind } from "../search/absences.ts";
import type { CheckedRule, ZoneKnowledge } from "../search/zone-knowledge.ts";
import type { SearchScope } from "../search/search-scope.ts";
import type { ExchangeResult } from "../upstream/exchange.ts";
import { ExtendedError, Rcode, RrType } from "../wire/codes.ts";
import { soaOf } from "../wire/denial.ts";
import { Flag } from "../wire/header.ts";
import { equalOctets } from "../wire/name.ts";
import { type ClientQuery, copyQuery, isLookup } from "../wire/query.ts";
import { type Question, questionKey, questionOf, withName } from "../wire/question.ts";
import type { Reply } from "../wire/reply.ts";
import type { Answer } from "./answer.ts";
import { answerWithOutside, findOutsideQuestion, type OutsideNameParts } from "./answer-outside-name.ts";
import { checkRule, type RuleCheckParts } from "./check-rules.ts";
import type { LoopGuard } from "./loop-guard.ts";
import type { InFlight, SharedQuestions } from "./share-in-flight.ts";

/** Policy (settings: cache). */
export interface ResolverLimits {
  readonly maxTtlSeconds: number;
  readonly maxDenialTtlSeconds: number;
  /** Inside the cluster zone: people create Services and expect them. */
  readonly maxClusterDenialTtlSeconds: number;
  /** When a client is given a stale answer rather than left waiting (RFC 8767 §5: "client response timer"). */
  readonly staleAfterMs: number;
  readonly prefetches: boolean;
  /** Whether NXDOMAIN under the search suffixes holds for A and AAAA alike (search rule 1; settings: search.shortCircuit). */
  readonly sharesDenials: boolean;
  /** Whether a suffix query may be answered with the outside name it was meant for (settings: search.answerOutsideName). */
  readonly answersOutsideNames: boolean;
}

/** The rooms that the chain leads through. */
export interface ResolverParts {
  readonly cache: AnswerCache;
  readonly failures: FailureMemory;
  readonly shared: SharedQuestions;
  readonly scope: SearchScope;
  readonly loopGuard: LoopGuard;
  readonly clock: Clock;
  readonly limits: ResolverLimits;
  /** The cluster zone (folded, wire form), what is known of it, and the rules that follow. */
  readonly zone: Uint8Array;
  readonly knowledge: ZoneKnowledge;
  readonly absences: Absences;
  laterSteps: OutsideNameParts["laterSteps"];
  ask(question: Question): Promise<ExchangeResult>;
  /** The zone's SOA is getting old: ask for it. Never rejects. */
  learnZone(): Promise<void>;
  /** Upstream contradicted a rule, for this question: the rule is off for a while. */
  onRuleOff(rule: CheckedRule, question: Question): void;
}

/** What the resolver did, as plain integers. */
export interface ResolverCounters {
  coalesced: number;
  prefetches: number;
  staleAnswers: number;
  staleAgeSeconds: number;
  cachedFailures: number;
  /** Replies that were relayed but not kept. */
  unkeptReplies: number;
  /** Suffix queries that were answered with the outside name. */
  outsideAnswers: number;
  /** Denials that were not asked for, by rule and by the suffix that the query probably came with. */
  readonly denials: Record<CheckedRule, Record<SuffixKind, number>>;
  readonly shed: Record<"inflight" | "waiters" | "client", number>;
}

/** What listeners know of everything behind them. */
export interface Resolver {
  /** The reply code for what is never looked up, or undefined: no transfers, no other classes, no key exchange. */
  refuse(query: ClientQuery): number | undefined;
  /** The fresh entry for a query, which stays the cache's. Undefined sends the caller on to `resolve`. */
  lookup(query: ClientQuery, nowMs: number): CacheEntry | undefined;
  /** The rule that says, without asking, that the query's name is absent. Valid until the next call; never stored. */
  deny(query: ClientQuery, nowMs: number): Absence | undefined;
  /** Everything else. `query` is the caller's own copy; `client` the asker's address, for its bounds. Never rejects. */
  resolve(query: ClientQuery, client: string): Answer | Promise<Answer>;
  readonly counters: ResolverCounters;
}

/** TTL of a stale answer, and how long it is given before upstream is asked again (RFC 8767 §4, §5). */
const staleTtlSeconds = 30;

/** A name is popular enough to be fetched ahead of its expiry once it was asked so often while it lived. */
const prefetchHits = 3;

/** How long until a hot entry that could not be fetched ahead, or was not renewed, is tried again. */
const prefetchRetryMs = 1000;

/** How long one address type waits for the other before it is asked itself. */
const siblingPatienceMs = 250;

/** How long a name waits for its parent before it is asked itself. Longer than for the other type: the parent saves far more. */
const parentPatienceMs = 500;

/** Creates the chain over its parts. */
export function createResolver(parts: ResolverParts): Resolver {
  const { cache, failures, shared, clock, limits, knowledge } = parts;
  const checkParts: RuleCheckParts = { ...parts, keep };
  const outsideParts = { cache, absences: parts.absences, laterSteps: parts.laterSteps, obtain, noteUse };
  const counters = createResolverCounters();

  function refuse(query: ClientQuery): number | undefined {
    return isLookup(query.type, query.class) ? undefined : Rcode.REFUSED;
  }

  function lookup(query: ClientQuery, nowMs: number): CacheEntry | undefined {
    const entry = cache.find(query, nowMs);
    if (entry === undefined) return undefined;
    // Whether a denied name is answered with the outside name behind it takes more than a look.
    if (limits.answersOutsideNames && entry.type === addressTypes) return undefined;
    entry.hits += 1;
    if (nowMs >= entry.refreshAtMs && entry.hits >= prefetchHits && limits.prefetches) prefetch(entry);
    return entry;
  }

  function deny(query: ClientQuery, nowMs: number): Absence | undefined {
    const absence = limits.answersOutsideNames ? undefined : parts.absences.find(query, nowMs);
    return absence === undefined ? undefined : noteAbsence(absence, query, nowMs);
  }

  function noteAbsence(absence: Absence, query: ClientQuery, nowMs: number): Absence {
    counters.denials[absence.rule][absence.suffix] += 1;
    noteUse(absence.rule, query, nowMs);
    return absence;
  }

  /** A rule was relied on: now and then it is checked. */
  function noteUse(rule: CheckedRule, query: ClientQuery, nowMs: number): void {
    if (knowledge.takeCheck(rule, nowMs)) void checkRule(rule, copyQuery(query), checkParts);
    if (knowledge.takeRefresh(nowMs)) void parts.learnZone();
  }

  function resolve(query: ClientQuery, client: string): Answer | Promise<Answer> {
    const question = questionOf(query);
    const key = questionKey(question);
    const answer =
      // First, because forwarding it again would close the circle.
      stopLoop(question) ??
      // Before joining: what failed a moment ago is not worth a place in a queue.
      repeatRecentFailure(question, key) ??
      // Before asking: one question upstream for all who wait for it.
      joinInFlight(question, key, client) ??
      // Then, if the settings want it, the outside name behind a suffix query, whose denial is known.
      answerOutsideName(query, question, key, client) ??
      // Then what may make the question unnecessary: the other address type, which is on its way and may deny the name for both ...
      followSibling(query, question, key, client) ??
      // ... or a parent, whose denial covers this name and many to come.
      askParentFirst(query, question, key, client) ??
      // Last, because it costs a flow, a server and time.
      askUpstream(question, key, client);
    return answer instanceof Promise ? answer.then(countStale) : countStale(answer);
  }

  /** Counts where a client is given it: a stale answer is made once for many, and ahead of an expiry for nobody. */
  function countStale(answer: Answer): Answer {
    if (answer.kind === "message" && answer.source === "stale") {
      counters.staleAnswers += 1;
      counters.staleAgeSeconds += Math.max(0, clock.nowMs() - answer.entry.expiresAtMs) / 1000;
    }
    return answer;
  }

  function stopLoop(question: Question): Answer | undefined {
    if (parts.loopGuard.isOwnProbe(question)) return { kind: "dropped", reason: "loop" };
    if (!parts.loopGuard.isLooping()) return undefined;
    const nothing = {
      kind: "error",
      rcode: Rcode.SERVFAIL,
      extendedError: ExtendedError.noReachableAuthority,
    } as const;
    return staleAnswer(question) ?? nothing;
  }

  function repeatRecentFailure(question: Question, key: string): Answer | undefined {
    const failure = failures.find(key, clock.nowMs());
    if (failure === undefined) return undefined;
    counters.cachedFailures += 1;
    return staleAnswer(question) ?? { kind: "error", rcode: failure.rcode, extendedError: ExtendedError.cachedError };
  }

  function joinInFlight(question: Question, key: string, client: string): Answer | Promise<Answer> | undefined {
    const inFlight = shared.find(key);
    if (inFlight === undefined) return undefined;
    const waiting = shared.wait(inFlight, client);
    if (typeof waiting === "string") return shed(question, waiting);
    counters.coalesced += 1;
    return waiting;
  }

  function askUpstream(question: Question, key: string, client: string): Answer | Promise<Answer> {
    return lead(question, key, client, () => fetch(question, key));
  }

  /**
   * Under a search suffix the second of A and AAAA waits for the first: NXDOMAIN serves both, and anything else costs the second no
   * more than that wait. It is short, because a client needs both answers.
   */
  function followSibling(query: ClientQuery, question: Question, key: string, client: string) {
    if (!limits.sharesDenials || !isAddressType(question.type) || !parts.scope(question.name)) return undefined;
    const siblingType = question.type === RrType.A ? RrType.AAAA : RrType.A;
    const sibling = shared.find(questionKey({ ...question, type: siblingType }));
    if (sibling === undefined) return undefined;
    return lead(question, key, client, async () => {
      await Promise.race([sibling.settled, pause(siblingPatienceMs)]);
      return answerFromKnown(query) ?? fetch(question, key);
    });
  }

  function answerOutsideName(query: ClientQuery, question: Question, key: string, client: string) {
    if (!limits.answersOutsideNames) return undefined;
    const nowMs = clock.nowMs();
    const outside = findOutsideQuestion(query, question, outsideParts, nowMs);
    // What was passed by on the way here, for the sake of this step.
    if (outside === undefined) return answerFromKnown(query);
    // Who may not wait is denied the name as ever: that costs nothing.
    if (!shared.hasRoom() || shared.boundAgainst(client) !== undefined) return answerFromKnown(query);
    return lead(question, key, client, async () => {
      const answer = await answerWithOutside(question, outside, outsideParts, clock.nowMs);
      if (answer !== undefined) counters.outsideAnswers += 1;
      return answer ?? answerFromKnown(query) ?? fetch(question, key);
    });
  }

  /** The answer to a question of our own: from the cache, from one in flight, or from upstream. */
  function obtain(question: Question): Promise<Answer> {
    const entry = cache.findQuestion(question, clock.nowMs());
    if (entry !== undefined) return Promise.resolve(freshAnswer(entry));
    const key = questionKey(question);
    // A recent failure holds here too, so that A and AAAA of a client come to the same end.
    return Promise.resolve(repeatRecentFailure(question, key) ?? (shared.find(key) ?? start(question, key)).answer);
  }

  /** A name that looks like an outside one: its parent's denial is worth more than its own. If the parent exists, the name is asked. */
  function askParentFirst(query: ClientQuery, question: Question, key: string, client: string) {
    const offset = parts.absences.parentToAsk(query, clock.nowMs());
    if (offset === undefined) return undefined;
    const parent = withName(question, question.name.subarray(offset), query.name.seed);
    const parentKey = questionKey(parent);
    // What failed a moment ago would only take the client's time.
    if (failures.find(parentKey, clock.nowMs()) !== undefined) return undefined;
    return lead(question, key, client, async () => {
      await Promise.race([(shared.find(parentKey) ?? start(parent, parentKey)).settled, pause(parentPatienceMs)]);
      return answerFromKnown(query) ?? fetch(question, key);
    });
  }

  /** What the cache and the rules know by now. */
  function answerFromKnown(query: ClientQuery): Answer | undefined {
    const nowMs = clock.nowMs();
    const entry = cache.match(query, nowMs);
    if (entry !== undefined) return freshAnswer(entry);
    const absence = parts.absences.find(query, nowMs);
    if (absence === undefined) return undefined;
    const { soa, ttlSeconds } = noteAbsence(absence, query, nowMs);
    return { kind: "denial", soa, ttlSeconds };
  }

  /** Puts a question in flight that `obtain` answers, with its first waiter. */
  function lead(
    question: Question,
    key: string,
    client: string,
    obtainAnswer: () => Promise<Answer>,
  ): Answer | Promise<Answer> {
    // Before it is asked: who may not wait must not use up the flows either.
    const bound = shared.hasRoom() ? shared.boundAgainst(client) : "inflight";
    if (bound !== undefined) return shed(question, bound);
    const waiting = shared.wait(begin(question, key, obtainAnswer()), client);
    return typeof waiting === "string" ? shed(question, waiting) : waiting;
  }

  function pause(delayMs: number): Promise<void> {
    return new Promise((resolveWith) => clock.after(delayMs, resolveWith));
  }

  /** Under a bound: a stale answer if one is held, else silence. */
  function shed(question: Question, reason: "inflight" | "waiters" | "client"): Answer {
    counters.shed[reason] += 1;
    return staleAnswer(question) ?? { kind: "dropped", reason };
  }

  function prefetch(entry: CacheEntry): void {
    const nowMs = clock.nowMs();
    const question = questionOfEntry(entry);
    const key = questionKey(question);
    // Not at every hit, whatever stands against it now.
    entry.refreshAtMs = nowMs + prefetchRetryMs;
    if (shared.find(key) !== undefined || failures.find(key, nowMs) !== undefined || !shared.hasRoom()) return;
    counters.prefetches += 1;
    start(question, key);
  }

  function start(question: Question, key: string): InFlight {
    return begin(question, key, fetch(question, key));
  }

  /** Puts a question in flight whose fresh answer is on its way. */
  function begin(question: Question, key: string, fresh: Promise<Answer>): InFlight {
    const answer = hasStale(question) ? preferFresh(fresh, question) : fresh;
    return shared.start(key, answer, fresh);
  }

  /** The fresh answer, or the stale one when that fails or takes too long; the fresh one fills the cache all the same. */
  function preferFresh(fresh: Promise<Answer>, question: Question): Promise<Answer> {
    return new Promise((resolveWith) => {
      const cancel = clock.after(limits.staleAfterMs, () => {
        const stale = staleAnswer(question);
        if (stale !== undefined) resolveWith(stale);
      });
      void fresh.then((answer) => {
        cancel();
        resolveWith(answer.kind === "error" ? (staleAnswer(question) ?? answer) : answer);
      });
    });
  }

  async function fetch(question: Question, key: string): Promise<Answer> {
    const result = await parts.ask(question);
    if ("failure" in result) {
      const isSilent = result.failure === "timeout";
      const code = isSilent ? ExtendedError.noReachableAuthority : ExtendedError.networkError;
      return fail(question, key, Rcode.SERVFAIL, code);
    }
    const rcode = failureRcode(result.reply);
    if (rcode !== undefined) return fail(question, key, rcode, ExtendedError.none);
    failures.forget(key);
    return keep(question, result.reply);
  }

  function fail(question: Question, key: string, rcode: number, extendedError: number): Answer {
    // With a stale answer to give there is no hurry to ask again (RFC 8767 §5: "failure recheck timer").
    failures.remember(key, rcode, hasStale(question) ? staleTtlSeconds : 0, clock.nowMs());
    return { kind: "error", rcode, extendedError };
  }

  /** Stores what may be stored, and answers from it. */
  function keep(question: Question, reply: Reply): Answer {
    const nowMs = clock.nowMs();
    const isInScope = parts.scope(question.name);
    const maxDenialTtlSeconds = isInScope
      ? Math.min(limits.maxClusterDenialTtlSeconds, limits.maxDenialTtlSeconds)
      : limits.maxDenialTtlSeconds;
    const lifetime = judgeLifetime(reply, question, { maxTtlSeconds: limits.maxTtlSeconds, maxDenialTtlSeconds });
    const isSharedDenial = isInScope && limits.sharesDenials && isWholeNameDenied(question, reply);
    if (isInScope && isAddressType(question.type)) {
      parts.absences.noteVerdict(question.name, reply.rcode === Rcode.NOERROR, nowMs);
    }
    if (isInScope && reply.rcode === Rcode.NXDOMAIN) noteSoa(reply, nowMs);
    const entry = createEntry(question, reply, lifetime, limits.maxTtlSeconds, isSharedDenial, nowMs);
    const isKept = lifetime.ttlSeconds > 0 && question.recursionDesired;
    if (isKept) cache.store(entry);
    else counters.unkeptReplies += 1;
    const isWholeAnswer = (reply.flags & Flag.TC) === 0 && question.recursionDesired;
    if (!isKept && isWholeAnswer) cache.withdraw(entry);
    return freshAnswer(entry);
  }

  /** Any denial of the zone brings its SOA along. */
  function noteSoa(reply: Reply, nowMs: number): void {
    const soa = soaOf(reply);
    if (soa !== undefined && equalOctets(soa.octets.subarray(0, parts.zone.length), 0, parts.zone))
      knowledge.noteSoa(soa, nowMs);
  }

  function hasStale(question: Question): boolean {
    return question.recursionDesired && cache.findStale(question, clock.nowMs()) !== undefined;
  }

  function staleAnswer(question: Question): Answer | undefined {
    if (!question.recursionDesired) return undefined;
    const entry = cache.findStale(question, clock.nowMs());
    if (entry === undefined) return undefined;
    const extendedError = ExtendedError.staleAnswer;
    return { kind: "message", entry, fixedTtlSeconds: staleTtlSeconds, extendedError, source: "stale" };
  }

  return { refuse, lookup, deny, resolve, counters };
}

/** Counters that are all 0. */
export function createResolverCounters(): ResolverCounters {
  return {
    coalesced: 0,
    prefetches: 0,
    staleAnswers: 0,
    staleAgeSeconds: 0,
    cachedFailures: 0,
    unkeptReplies: 0,
    outsideAnswers: 0,
    denials: { schema: { namespace: 0, svc: 0, zone: 0 }, learned: { namespace: 0, svc: 0, zone: 0 } },
    shed: { inflight: 0, waiters: 0, client: 0 },
  };
}

function freshAnswer(entry: CacheEntry): Answer {
  return { kind: "message", entry, fixedTtlSeconds: 0, extendedError: ExtendedError.none, source: "upstream" };
}

/** NXDOMAIN of the name itself, for A or AAAA: inside the search scope it holds for both. */
function isWholeNameDenied(question: Question, reply: Reply): boolean {
  return reply.rcode === Rcode.NXDOMAIN && reply.answers.length === 0 && isAddressType(question.type);
}

/**
 * The code that clients are told when a reply is no answer, or undefined. An upstream's REFUSED becomes SERVFAIL: it is mostly
 * the upstream's own overload, and REFUSED costs musl and glibc more than SERVFAIL does.
 */
function failureRcode(reply: Reply): number | undefined {
  switch (reply.rcode) {
    case Rcode.NOERROR:
    case Rcode.NXDOMAIN:
      return undefined;
    case Rcode.FORMERR:
    case Rcode.NOTIMP:
      return reply.rcode;
    default:
      return Rcode.SERVFAIL;
  }
}
