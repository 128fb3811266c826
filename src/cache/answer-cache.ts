/*
 * The two stores, answers and denials, each with its own bound in bytes: a flood of absent names cannot push out what is used.
 * Expiry is one comparison with the caller's `nowMs`; lru-cache only keeps the order and the sizes.
 */
import { LRUCache } from "lru-cache";
import { isAddressType, isHostType, otherAddressType, Rcode, RrType } from "../wire/codes.ts";
import { Flag, HeaderOffset, rcodeMask } from "../wire/header.ts";
import { hashName, isAtOrBelow } from "../wire/name.ts";
import { readU16 } from "../wire/octets.ts";
import type { ClientQuery } from "../wire/query.ts";
import type { Question } from "../wire/question.ts";
import {
  answersQuery,
  askedType,
  type CacheEntry,
  entrySizeBytes,
  forAskedType,
  hasName,
  nameOf,
  provesName,
} from "./entry.ts";
import { addressTypes, cacheKey, keysOfName } from "./key.ts";
import { createNameProofs } from "./name-proofs.ts";

/** Budgets, and how long after its expiry an entry may still be given as a stale answer, if there is room to keep it so long. */
export interface CacheLimits {
  readonly answersSizeBytes: number;
  readonly denialsSizeBytes: number;
  readonly staleSeconds: number;
}

/** What the cache has done since the start, as plain integers. */
export interface CacheCounters {
  answerHits: number;
  denialHits: number;
  /** Of the denial hits, those whose denial was learned for another type. */
  sharedDenialHits: number;
  misses: number;
  answerEvictions: number;
  denialEvictions: number;
}

/** Looks up and keeps entries. An entry that it returns remains the cache's, and is only read. Moments are monotonic milliseconds. */
export interface AnswerCache {
  /** The fresh entry that answers `query` at `nowMs`, or undefined. Counts a hit or a miss, and makes the entry the most recently used. */
  find(query: ClientQuery, nowMs: number): CacheEntry | undefined;
  /** Like `find`, without counting. */
  match(query: ClientQuery, nowMs: number): CacheEntry | undefined;
  /** Like `find`, for onlookers: nothing is counted, and the entry keeps its place in the order. */
  peek(query: ClientQuery, nowMs: number): CacheEntry | undefined;
  /** The fresh entry for a question of nodens's own, or undefined. Changes and counts nothing. */
  findQuestion(question: Question, nowMs: number): CacheEntry | undefined;
  /**
   * For how many whole seconds a name is still denied for A and AAAA alike: the part of the query's folded name from `offset` on. 0 when
   * it is not denied. Changes and counts nothing.
   */
  deniedForSeconds(query: ClientQuery, offset: number, nowMs: number): number;
  /** For how many whole seconds that name is still known to exist, by data or NODATA for an address type; 0 when it is not. */
  existsForSeconds(query: ClientQuery, offset: number, nowMs: number): number;
  /**
   * An answer to `question` that may be stale, but not for longer than `staleSeconds` (RFC 8767 §5), or NODATA for one address type if
   * there is such an answer for the other; never any other denial. Undefined if there is none.
   */
  findStale(question: Question, nowMs: number): CacheEntry | undefined;
  /** NXDOMAIN of the question's name, for its type or as a whole, fresh or expired for no longer than `staleSeconds`. Or undefined. */
  findExpiredDenial(question: Question, nowMs: number): CacheEntry | undefined;
  /**
   * Keeps an entry and drops what it contradicts: the other kind for the same question and, when it is data or NODATA for an
   * address type, the denial of the whole name. A denial of the whole name is kept only for its own type if the other address
   * type has shown that the name exists. An entry larger than the whole budget is not kept.
   */
  store(entry: CacheEntry): void;
  /** Drops what a reply contradicts that must not be kept itself: it is newer, and nothing older may come back as a stale answer. */
  withdraw(entry: CacheEntry): void;
  /** The entries of a name (folded, wire form), of every type and age, in no order; with `takesBelow` those of names below it too. Slow. */
  entriesAt(name: Uint8Array, takesBelow: boolean): CacheEntry[];
  /** Forgets an entry that `entriesAt` returned. */
  remove(entry: CacheEntry): void;
  /** How many entries and bytes a store holds. Expired entries count until they are replaced or evicted. */
  usage(kind: "answer" | "denial"): { entries: number; sizeBytes: number };
  /** Forgets everything. */
  clear(): void;
  readonly counters: CacheCounters;
}

/** Creates an empty cache. The budgets are fixed; a later change of `limits.staleSeconds` takes effect. */
export function createAnswerCache(limits: CacheLimits): AnswerCache {
  const counters: CacheCounters = {
    answerHits: 0,
    denialHits: 0,
    sharedDenialHits: 0,
    misses: 0,
    answerEvictions: 0,
    denialEvictions: 0,
  };
  const answers = createStore(limits.answersSizeBytes, () => (counters.answerEvictions += 1));
  const denials = createStore(limits.denialsSizeBytes, () => (counters.denialEvictions += 1));
  const proofs = createNameProofs((key) => answers.peek(key) ?? denials.peek(key));

  function find(query: ClientQuery, nowMs: number): CacheEntry | undefined {
    const entry = match(query, nowMs);
    if (entry === undefined) counters.misses += 1;
    else if (entry.kind === "answer") counters.answerHits += 1;
    else countDenial(entry, query);
    return entry;
  }

  function countDenial(entry: CacheEntry, query: ClientQuery): void {
    counters.denialHits += 1;
    if (entry.type === addressTypes && askedType(entry) !== query.type) counters.sharedDenialHits += 1;
  }

  function match(query: ClientQuery, nowMs: number): CacheEntry | undefined {
    return look(query, nowMs, true);
  }

  function look(query: ClientQuery, nowMs: number, touches: boolean): CacheEntry | undefined {
    const checkingDisabled = (query.flags & Flag.CD) !== 0;
    const key = cacheKey(query.name.hash, query.type, query.class, query.dnssecOk, checkingDisabled);
    const answer = read(answers, key, touches);
    if (answer !== undefined && nowMs < answer.expiresAtMs && answersQuery(answer, query)) return answer;
    const denial = read(denials, key, touches);
    if (denial !== undefined && nowMs < denial.expiresAtMs && answersQuery(denial, query)) return denial;
    const shared = findSharedDenial(query, checkingDisabled, touches);
    return shared !== undefined && nowMs < shared.expiresAtMs && answersQuery(shared, query) ? shared : undefined;
  }

  function findSharedDenial(query: ClientQuery, checkingDisabled: boolean, touches: boolean): CacheEntry | undefined {
    if (!isHostType(query.type)) return undefined;
    const key = cacheKey(query.name.hash, addressTypes, query.class, query.dnssecOk, checkingDisabled);
    return read(denials, key, touches);
  }

  function deniedForSeconds(query: ClientQuery, offset: number, nowMs: number): number {
    return lifeSeconds(denials, query, offset, addressTypes, nowMs);
  }

  function existsForSeconds(query: ClientQuery, offset: number, nowMs: number): number {
    return Math.max(
      lifeSeconds(answers, query, offset, RrType.A, nowMs),
      lifeSeconds(denials, query, offset, RrType.A, nowMs, true),
      lifeSeconds(answers, query, offset, RrType.AAAA, nowMs),
      lifeSeconds(denials, query, offset, RrType.AAAA, nowMs, true),
    );
  }

  function findQuestion(question: Question, nowMs: number): CacheEntry | undefined {
    const entry = peek(answers, question) ?? peek(denials, question);
    return entry !== undefined && nowMs < entry.expiresAtMs ? entry : undefined;
  }

  function store(entry: CacheEntry): void {
    const kept = proofs.contradict(entry) ? forAskedType(entry) : entry;
    drop(kept);
    proofs.noteKept(kept);
    (kept.kind === "answer" ? answers : denials).set(kept.key, kept);
  }

  function withdraw(entry: CacheEntry): void {
    drop(proofs.contradict(entry) ? forAskedType(entry) : entry);
    proofs.noteUnkept(entry);
  }

  /** Drops everything older about the question, and what contradicts the entry about whether the name exists. */
  function drop(entry: CacheEntry): void {
    dropKey(entry.key);
    const { nameHash, class: rrClass } = entry;
    // A name that is denied has no addresses: nothing proves that it exists.
    if (entry.type === addressTypes)
      for (const type of [RrType.A, RrType.AAAA]) keysOfName(nameHash, type, rrClass).forEach(dropKey);
    // The name exists, so it is not denied for the other type, whoever asks.
    else if (isAddressType(entry.type)) keysOfName(nameHash, addressTypes, rrClass).forEach(dropKey);
  }

  function dropKey(key: number): void {
    answers.delete(key);
    denials.delete(key);
  }

  return {
    find,
    match,
    peek: (query, nowMs) => look(query, nowMs, false),
    findQuestion,
    deniedForSeconds,
    existsForSeconds,
    findStale: (question, nowMs) => findStaleIn(answers, denials, question, nowMs - limits.staleSeconds * 1000),
    findExpiredDenial: (question, nowMs) => findDenialIn(denials, question, nowMs - limits.staleSeconds * 1000),
    store,
    withdraw,
    entriesAt: (name, takesBelow) => [...entriesIn(answers, name, takesBelow), ...entriesIn(denials, name, takesBelow)],
    remove: ({ key, kind }) => void (kind === "answer" ? answers : denials).delete(key),
    usage(kind) {
      const chosen = kind === "answer" ? answers : denials;
      return { entries: chosen.size, sizeBytes: chosen.calculatedSize };
    },
    clear() {
      answers.clear();
      denials.clear();
      proofs.clear();
    },
    counters,
  };
}

type Store = LRUCache<number, CacheEntry>;

/** What may still be given as an answer to `question`, provided that it expires after `sinceMs`. */
function findStaleIn(answers: Store, denials: Store, question: Question, sinceMs: number): CacheEntry | undefined {
  const entry = peek(answers, question) ?? findNoData(answers, denials, question, sinceMs);
  return entry !== undefined && entry.expiresAtMs > sinceMs ? entry : undefined;
}

/** NXDOMAIN of the question's name, provided that it expires after `sinceMs`. */
function findDenialIn(denials: Store, question: Question, sinceMs: number): CacheEntry | undefined {
  const entry = peek(denials, question) ?? peek(denials, { ...question, type: addressTypes });
  if (entry === undefined || entry.expiresAtMs <= sinceMs) return undefined;
  return provesName(entry) ? undefined : entry;
}

/** NODATA for one address type of a name whose other type has data that may be given: musl needs both replies, and it denies nothing. */
function findNoData(answers: Store, denials: Store, question: Question, sinceMs: number): CacheEntry | undefined {
  if (!isAddressType(question.type)) return undefined;
  const denial = peek(denials, question);
  if (denial === undefined || (readU16(denial.octets, HeaderOffset.flags) & rcodeMask) !== Rcode.NOERROR)
    return undefined;
  const data = peek(answers, { ...question, type: otherAddressType(question.type) });
  return data !== undefined && data.expiresAtMs > sinceMs ? denial : undefined;
}

/** A store's entry for exactly this question, whatever its age. It keeps its place in the order. */
function peek(store: LRUCache<number, CacheEntry>, question: Question): CacheEntry | undefined {
  const { nameHash, type, dnssecOk, checkingDisabled } = question;
  const entry = store.peek(cacheKey(nameHash, type, question.class, dnssecOk, checkingDisabled));
  if (entry === undefined || entry.type !== type || entry.class !== question.class) return undefined;
  if (entry.dnssecOk !== dnssecOk || entry.checkingDisabled !== checkingDisabled) return undefined;
  return hasName(entry, question.name, question.name.length) ? entry : undefined;
}

/**
 * How many whole seconds are left of a store's entry for `type` and the part of the query's name from `offset` on; 0 without one, and with
 * `isProofOnly` for one that does not show that the name exists.
 */
function lifeSeconds(
  store: LRUCache<number, CacheEntry>,
  query: ClientQuery,
  offset: number,
  type: number,
  nowMs: number,
  isProofOnly = false,
): number {
  const { octets, sizeBytes, seed, hash } = query.name;
  const nameHash = offset === 0 ? hash : hashName(octets, offset, sizeBytes, seed);
  const key = cacheKey(nameHash, type, query.class, query.dnssecOk, (query.flags & Flag.CD) !== 0);
  const entry = store.peek(key);
  if (entry === undefined || entry.type !== type || (isProofOnly && !provesName(entry))) return 0;
  const name = octets.subarray(offset, sizeBytes);
  return hasName(entry, name, name.length) ? Math.max(0, Math.floor((entry.expiresAtMs - nowMs) / 1000)) : 0;
}

function entriesIn(store: Store, name: Uint8Array, takesBelow: boolean): CacheEntry[] {
  const entries = [...store.values()];
  if (takesBelow) return entries.filter((entry) => isAtOrBelow(nameOf(entry), name));
  return entries.filter((entry) => hasName(entry, name, name.length));
}

function read(store: LRUCache<number, CacheEntry>, key: number, touches: boolean): CacheEntry | undefined {
  return touches ? store.get(key) : store.peek(key);
}

function createStore(maxSizeBytes: number, onEvict: () => void): LRUCache<number, CacheEntry> {
  return new LRUCache<number, CacheEntry>({
    maxSize: maxSizeBytes,
    sizeCalculation: entrySizeBytes,
    dispose(_entry, _key, reason) {
      if (reason === "evict") onEvict();
    },
  });
}
