/*
 * What nodens would do with a query that came in now, without doing it: nothing is asked, counted, stored, or moved in any order.
 * The steps are those of the resolver, in its order.
 */
import type { AnswerCache } from "../cache/answer-cache.ts";
import { type CacheEntry, isAddressType } from "../cache/entry.ts";
import type { FailureMemory } from "../cache/failure-memory.ts";
import type { Absences } from "../search/absences.ts";
import type { SearchScope } from "../search/search-scope.ts";
import type { CheckedRule } from "../search/zone-knowledge.ts";
import { Rcode, RrType } from "../wire/codes.ts";
import { HeaderOffset, rcodeMask } from "../wire/header.ts";
import { nameToText } from "../wire/name-text.ts";
import { readU16 } from "../wire/octets.ts";
import { type ClientQuery, createQueryView, isLookup, readQuery } from "../wire/query.ts";
import { composeQuery, ownQuestion, questionKey, questionOf } from "../wire/question.ts";
import { findOutsideQuestion, type OutsideNameParts } from "./answer-outside-name.ts";
import type { LoopGuard } from "./loop-guard.ts";
import type { ResolverLimits } from "./resolver.ts";
import type { SharedQuestions } from "./share-in-flight.ts";

/** Which way a question would take. */
export interface RouteTaken {
  readonly route: string;
  readonly transport: "tcp" | "udp";
}

/** What would be done with one query. */
export type Foresight =
  /** Never looked up: a transfer, another class. */
  | { readonly kind: "refused" }
  /** In the cache, for so long. "denied" is NXDOMAIN, "noData" a name without records of the type. */
  | { readonly kind: "cached"; readonly verdict: "data" | "noData" | "denied"; readonly ttlSeconds: number }
  /** NXDOMAIN by a search rule. */
  | { readonly kind: "denied"; readonly rule: CheckedRule; readonly ttlSeconds: number }
  /** Denied, and answered all the same: with the outside name behind the suffix query, if that has data. */
  | { readonly kind: "outsideName"; readonly outside: string; readonly isCached: boolean }
  /** SERVFAIL: the upstream leads back here. */
  | { readonly kind: "looping" }
  /** Failed a moment ago: a stale answer if one is held, otherwise the failure again. */
  | { readonly kind: "failed"; readonly hasStale: boolean }
  /** The same question is on its way already. */
  | { readonly kind: "shared" }
  /** The other address type is on its way: if it denies the name, that answers both. */
  | { readonly kind: "waits"; readonly forType: "A" | "AAAA" }
  /** The parent is asked, or awaited, in the name's place. Only if it exists the name is asked itself. */
  | ({ readonly kind: "asksParent"; readonly parent: string; readonly isOnItsWay: boolean } & RouteTaken)
  | ({ readonly kind: "forwarded" } & RouteTaken)
  /** As many questions are in flight as may be: a stale answer if one is held, otherwise no reply. */
  | { readonly kind: "shed"; readonly hasStale: boolean };

/** The parts of a running nodens that are looked at. */
export interface ForesightParts {
  readonly cache: AnswerCache;
  readonly failures: Pick<FailureMemory, "peek">;
  readonly shared: Pick<SharedQuestions, "find" | "hasRoom">;
  readonly loopGuard: Pick<LoopGuard, "isLooping">;
  readonly scope: SearchScope;
  readonly absences: Absences;
  readonly limits: Pick<ResolverLimits, "answersOutsideNames" | "sharesDenials">;
  readonly laterSteps: OutsideNameParts["laterSteps"];
  /** The route of a folded name in wire form. */
  routeOf(name: Uint8Array): RouteTaken;
  /** Keys the hashes of names in the cache. */
  readonly hashSeed: number;
}

/**
 * Tells what would be done with queries of a client that asks them at the same moment, in this order: a plain client, without EDNS.
 * `name` is folded, in wire form.
 */
export type Foresee = (name: Uint8Array, types: readonly number[], nowMs: number) => Foresight[];

/** Creates the onlooker of these parts. */
export function createForesight(parts: ForesightParts): Foresee {
  return (name, types, nowMs) => {
    // What the queries before this one would have set in flight.
    const assumed = new Set<string>();
    return types.map((type) => foreseeOne(parts, clientQuery(name, type, parts.hashSeed), assumed, nowMs));
  };
}

function foreseeOne(parts: ForesightParts, query: ClientQuery, assumed: Set<string>, nowMs: number): Foresight {
  return foreseeKnown(parts, query, nowMs) ?? foreseeAsking(parts, query, assumed, nowMs);
}

/** What needs nobody else. */
function foreseeKnown(parts: ForesightParts, query: ClientQuery, nowMs: number): Foresight | undefined {
  if (!isLookup(query.type, query.class)) return { kind: "refused" };
  const outside = parts.limits.answersOutsideNames ? foreseeOutsideName(parts, query, nowMs) : undefined;
  if (outside !== undefined) return outside;
  const entry = parts.cache.peek(query, nowMs);
  if (entry !== undefined) return describeEntry(entry, nowMs);
  const absence = parts.absences.find(query, nowMs);
  if (absence !== undefined) return { kind: "denied", rule: absence.rule, ttlSeconds: absence.ttlSeconds };
  return parts.loopGuard.isLooping() ? { kind: "looping" } : undefined;
}

/** What has to be asked, or is on its way. `assumed` are the keys of what the queries before this one ask. */
function foreseeAsking(parts: ForesightParts, query: ClientQuery, assumed: Set<string>, nowMs: number): Foresight {
  const question = questionOf(query);
  const key = questionKey(question);
  const isOnItsWay = (wanted: string) => assumed.has(wanted) || parts.shared.find(wanted) !== undefined;
  if (parts.failures.peek(key, nowMs) !== undefined) return { kind: "failed", hasStale: hasStale() };
  if (isOnItsWay(key)) return { kind: "shared" };
  if (!parts.shared.hasRoom()) return { kind: "shed", hasStale: hasStale() };
  assumed.add(key);
  if (parts.limits.sharesDenials && isAddressType(query.type) && parts.scope(question.name)) {
    const sibling = query.type === RrType.A ? RrType.AAAA : RrType.A;
    if (isOnItsWay(questionKey({ ...question, type: sibling })))
      return { kind: "waits", forType: sibling === RrType.A ? "A" : "AAAA" };
  }
  const offset = parts.absences.parentToAsk(query, nowMs);
  if (offset === undefined) return { kind: "forwarded", ...parts.routeOf(question.name) };
  const parent = question.name.subarray(offset);
  const parentKey = questionKey({ ...question, name: parent });
  const isParentOnItsWay = isOnItsWay(parentKey);
  assumed.add(parentKey);
  return {
    kind: "asksParent",
    parent: nameToText(parent),
    isOnItsWay: isParentOnItsWay,
    ...parts.routeOf(parent),
  };

  function hasStale(): boolean {
    return parts.cache.findStale(question, nowMs) !== undefined;
  }
}

function foreseeOutsideName(parts: ForesightParts, query: ClientQuery, nowMs: number): Foresight | undefined {
  const { absences, laterSteps, cache } = parts;
  const onlooker = {
    absences,
    laterSteps,
    cache: { ...cache, match: cache.peek },
    obtain: askNobody,
    noteUse: checkNothing,
  };
  const question = findOutsideQuestion(query, questionOf(query), onlooker, nowMs);
  if (question === undefined) return undefined;
  const isCached = cache.findQuestion(question, nowMs) !== undefined;
  return { kind: "outsideName", outside: nameToText(question.name), isCached };
}

function checkNothing(): void {}

function askNobody(): Promise<never> {
  return Promise.reject(new Error("an onlooker asks nobody"));
}

function describeEntry(entry: CacheEntry, nowMs: number): Foresight {
  const ttlSeconds = Math.max(0, Math.ceil((entry.expiresAtMs - nowMs) / 1000));
  if (entry.kind === "answer") return { kind: "cached", verdict: "data", ttlSeconds };
  const isDenied = (readU16(entry.octets, HeaderOffset.flags) & rcodeMask) === Rcode.NXDOMAIN;
  return { kind: "cached", verdict: isDenied ? "denied" : "noData", ttlSeconds };
}

/** The query that a plain client would send. EDNS makes no difference here, only DO and CD would. */
function clientQuery(name: Uint8Array, type: number, hashSeed: number): ClientQuery {
  const packet = composeQuery(ownQuestion(name, type));
  const query = createQueryView(hashSeed);
  readQuery(packet, packet.length, query);
  return query;
}
