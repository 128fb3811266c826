/*
 * The two stores, answers and denials, each bounded in bytes by itself: a flood of absent names cannot push out what is used.
 * Expiry is ours, by one comparison with the caller's `nowMs`; lru-cache keeps the order and the sizes.
 */
import { LRUCache } from "lru-cache";
import { RrType } from "../wire/codes.ts";
import { Flag } from "../wire/header.ts";
import type { ClientQuery } from "../wire/query.ts";
import type { Question } from "../wire/question.ts";
import { answersQuery, type CacheEntry, entrySizeBytes, hasName, isAddressType } from "./entry.ts";
import { addressTypes, cacheKey } from "./key.ts";

/** Budgets. A stale answer is kept `staleSeconds` after it expired, if there is room for so long. */
export interface CacheLimits {
  readonly answersSizeBytes: number;
  readonly denialsSizeBytes: number;
  readonly staleSeconds: number;
}

/** What the cache did since the start, as plain integers. */
export interface CacheCounters {
  answerHits: number;
  denialHits: number;
  misses: number;
  answerEvictions: number;
  denialEvictions: number;
}

/** Looks up and keeps entries. Entries handed out stay the cache's: they are read, not changed. */
export interface AnswerCache {
  /** The entry that answers `query` at `nowMs`, or undefined. Counts a hit or a miss, and touches the entry's place in the order. */
  find(query: ClientQuery, nowMs: number): CacheEntry | undefined;
  /** An expired answer (never a denial) to `question`, not older than it may be (RFC 8767 §5). A fresh one is returned too. */
  findStale(question: Question, nowMs: number): CacheEntry | undefined;
  /**
   * Keeps an entry and drops what it contradicts: the other kind for the same question and, when it is data or NODATA for an
   * address type, the denial of the whole name. An entry that alone is over budget is not kept.
   */
  store(entry: CacheEntry): void;
  /** Drops what a reply contradicts that may not be kept itself: it is the newer word, and nothing older must come back as stale. */
  withdraw(entry: CacheEntry): void;
  /** How many entries, and how many bytes, a store holds. Expired entries count until they are replaced or evicted. */
  usage(kind: "answer" | "denial"): { entries: number; sizeBytes: number };
  /** Forgets everything. */
  clear(): void;
  readonly counters: CacheCounters;
}

/** Creates an empty cache. */
export function createAnswerCache(limits: CacheLimits): AnswerCache {
  const counters: CacheCounters = { answerHits: 0, denialHits: 0, misses: 0, answerEvictions: 0, denialEvictions: 0 };
  const answers = createStore(limits.answersSizeBytes, () => (counters.answerEvictions += 1));
  const denials = createStore(limits.denialsSizeBytes, () => (counters.denialEvictions += 1));

  function find(query: ClientQuery, nowMs: number): CacheEntry | undefined {
    const checkingDisabled = (query.flags & Flag.CD) !== 0;
    const key = cacheKey(query.name.hash, query.type, query.class, query.dnssecOk, checkingDisabled);
    const answer = answers.get(key);
    if (answer !== undefined && nowMs < answer.expiresAtMs && answersQuery(answer, query)) {
      counters.answerHits += 1;
      return answer;
    }
    const denial = denials.get(key) ?? findSharedDenial(query, checkingDisabled);
    if (denial !== undefined && nowMs < denial.expiresAtMs && answersQuery(denial, query)) {
      counters.denialHits += 1;
      return denial;
    }
    counters.misses += 1;
    return undefined;
  }

  function findSharedDenial(query: ClientQuery, checkingDisabled: boolean): CacheEntry | undefined {
    if (!isAddressType(query.type)) return undefined;
    return denials.get(cacheKey(query.name.hash, addressTypes, query.class, query.dnssecOk, checkingDisabled));
  }

  function findStale(question: Question, nowMs: number): CacheEntry | undefined {
    const { nameHash, type, dnssecOk, checkingDisabled } = question;
    const entry = answers.peek(cacheKey(nameHash, type, question.class, dnssecOk, checkingDisabled));
    if (entry === undefined || nowMs >= entry.expiresAtMs + limits.staleSeconds * 1000) return undefined;
    const isSame = entry.type === type && entry.class === question.class && entry.dnssecOk === dnssecOk;
    if (!isSame || entry.checkingDisabled !== checkingDisabled) return undefined;
    return hasName(entry, question.name, question.name.length) ? entry : undefined;
  }

  function store(entry: CacheEntry): void {
    withdraw(entry);
    (entry.kind === "answer" ? answers : denials).set(entry.key, entry);
  }

  function withdraw(entry: CacheEntry): void {
    answers.delete(entry.key);
    denials.delete(entry.key);
    if (entry.type === addressTypes) dropAddresses(entry);
    // Data or NODATA for one address type: the name exists, so it is not denied for the other.
    else if (isAddressType(entry.type)) denials.delete(siblingKey(entry, addressTypes));
  }

  /** A name that is denied has no addresses: musl throws away data for one type beside NXDOMAIN for the other. */
  function dropAddresses(denial: CacheEntry): void {
    for (const type of [RrType.A, RrType.AAAA]) {
      answers.delete(siblingKey(denial, type));
      denials.delete(siblingKey(denial, type));
    }
  }

  return {
    find,
    findStale,
    store,
    withdraw,
    usage(kind) {
      const chosen = kind === "answer" ? answers : denials;
      return { entries: chosen.size, sizeBytes: chosen.calculatedSize };
    },
    clear() {
      answers.clear();
      denials.clear();
    },
    counters,
  };
}

/** The key of the same question for another type. */
function siblingKey(entry: CacheEntry, type: number): number {
  return cacheKey(entry.nameHash, type, entry.class, entry.dnssecOk, entry.checkingDisabled);
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
