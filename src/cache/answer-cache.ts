/*
 * The two stores, answers and denials, each with its own bound in bytes: a flood of absent names cannot push out what is used.
 * Expiry is one comparison with the caller's `nowMs`.
 */
import { isAddressType, isHostType, otherAddressType, Rcode, RrType } from "../wire/codes.ts";
import { Flag } from "../wire/header.ts";
import { hashName, isAtOrBelow } from "../wire/name.ts";
import type { ClientQuery } from "../wire/query.ts";
import type { Question } from "../wire/question.ts";
import {
  askedType,
  type CacheEntry,
  copyEntry,
  forAskedType,
  hasName,
  keyOfEntry,
  nameOf,
  provesName,
  rcodeOf,
} from "./entry.ts";
import {
  addEntry,
  answersQuery,
  countUse,
  createEntryStore,
  createEntryView,
  type EntryStore,
  type EntryView,
  markUsed,
  removeKey,
  rowOfKey,
  setRefresh,
  showEntry,
} from "./entry-store.ts";
import { none } from "./entry-rows.ts";
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

/**
 * Looks up and keeps entries. What `find` returns is a view of the cache's own memory: the same object each time, which is valid until
 * `find` is called again, whatever is stored or dropped meanwhile. What others return is a copy. Moments are monotonic milliseconds.
 */
export interface AnswerCache {
  /**
   * The fresh entry that answers `query` at `nowMs`, or undefined. Counts a hit or a miss, marks the entry as used, and makes the
   * next of its addresses the first for the next query.
   */
  find(query: ClientQuery, nowMs: number): CacheEntry | undefined;
  /** Like `find`, without counting, and a copy. */
  match(query: ClientQuery, nowMs: number): CacheEntry | undefined;
  /** Like `match`, for onlookers: it is no use of the entry. */
  peek(query: ClientQuery, nowMs: number): CacheEntry | undefined;
  /** The fresh entry for a question of nodens's own, or undefined. Changes and counts nothing. */
  findQuestion(question: Question, nowMs: number): CacheEntry | undefined;
  /**
   * For how many seconds, rounded up as in a reply, a name is still denied for A and AAAA alike: the part of the query's folded name from
   * `offset` on. 0 when it is not denied. Changes and counts nothing.
   */
  deniedForSeconds(query: ClientQuery, offset: number, nowMs: number): number;
  /** For how many seconds, rounded up, that name is still known to exist, by data or NODATA for an address type; 0 when it is not. */
  existsForSeconds(query: ClientQuery, offset: number, nowMs: number): number;
  /**
   * An answer to `question` that may be stale, but not for longer than `staleSeconds` (RFC 8767 §5), or NODATA for one address type if
   * there is such an answer for the other; never any other denial. Undefined if there is none.
   */
  findStale(question: Question, nowMs: number): CacheEntry | undefined;
  /** NXDOMAIN of the question's name, for its type or as a whole, fresh or expired for no longer than `staleSeconds`. Or undefined. */
  findExpiredDenial(question: Question, nowMs: number): CacheEntry | undefined;
  /** Counts one more use of the entry that a copy was made of, if it is still there. The copy gets the turn of this use. */
  use(copy: CacheEntry): CacheEntry;
  /** From when on the answer to a question is to be fetched again, if there is one. */
  setRefresh(question: Question, refreshAtMs: number): void;
  /**
   * Keeps a copy of an entry and drops what it contradicts: the other kind for the same question and, when it is data or NODATA for an
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
  // What `find` has handed out, and what is looked at in here.
  const handedOut = createEntryView();
  const scratch = createEntryView();
  const isHandedOut = (octets: Uint8Array) => handedOut.octets === octets;
  let { answers, denials } = createStores();
  const proofs = createNameProofs((key) => showIn(answers, key, scratch) ?? showIn(denials, key, scratch));

  function createStores(): { answers: EntryStore; denials: EntryStore } {
    return {
      answers: createEntryStore("answer", limits.answersSizeBytes, isHandedOut, () => (counters.answerEvictions += 1)),
      denials: createEntryStore("denial", limits.denialsSizeBytes, isHandedOut, () => (counters.denialEvictions += 1)),
    };
  }

  function find(query: ClientQuery, nowMs: number): CacheEntry | undefined {
    const key = keyOfQuery(query, query.type);
    const row = rowOfKey(answers, key);
    if (row === none || !answersQuery(answers, row, query, query.type, nowMs)) return findDenial(query, key, nowMs);
    counters.answerHits += 1;
    countUse(answers, row);
    showEntry(answers, row, handedOut);
    return handedOut;
  }

  function findDenial(query: ClientQuery, key: number, nowMs: number): CacheEntry | undefined {
    const row = rowOfDenial(denials, query, key, nowMs);
    if (row === none) {
      counters.misses += 1;
      return undefined;
    }
    counters.denialHits += 1;
    countUse(denials, row);
    showEntry(denials, row, handedOut);
    if (handedOut.type === addressTypes && askedType(handedOut) !== query.type) counters.sharedDenialHits += 1;
    return handedOut;
  }

  function findQuestion(question: Question, nowMs: number): CacheEntry | undefined {
    const entry = peek(answers, question, scratch) ?? peek(denials, question, scratch);
    return entry !== undefined && nowMs < entry.expiresAtMs ? copyEntry(entry) : undefined;
  }

  function refreshFrom(question: Question, refreshAtMs: number): void {
    const row = rowOf(answers, question, scratch);
    if (row !== none) setRefresh(answers, row, refreshAtMs);
  }

  function store(entry: CacheEntry): void {
    const kept = proofs.contradict(entry) ? forAskedType(entry) : entry;
    drop(kept);
    proofs.noteKept(kept);
    addEntry(kept.kind === "answer" ? answers : denials, kept);
  }

  function withdraw(entry: CacheEntry): void {
    drop(proofs.contradict(entry) ? forAskedType(entry) : entry);
    proofs.noteUnkept(entry);
  }

  /** Drops everything older about the question, and what contradicts the entry about whether the name exists. */
  function drop(entry: CacheEntry): void {
    dropKey(keyOfEntry(entry));
    const { nameHash, class: rrClass } = entry;
    // A name that is denied has no addresses: nothing proves that it exists.
    if (entry.type === addressTypes)
      for (const type of [RrType.A, RrType.AAAA]) keysOfName(nameHash, type, rrClass).forEach(dropKey);
    // The name exists, so it is not denied for the other type, whoever asks.
    else if (isAddressType(entry.type) && denials.index.entryCount > 0)
      keysOfName(nameHash, addressTypes, rrClass).forEach(dropDenial);
  }

  function dropKey(key: number): void {
    removeKey(answers, key);
    dropDenial(key);
  }

  function dropDenial(key: number): void {
    removeKey(denials, key);
  }

  return {
    find,
    match: (query, nowMs) => copyOfMatch(answers, denials, scratch, query, nowMs, true),
    peek: (query, nowMs) => copyOfMatch(answers, denials, scratch, query, nowMs, false),
    findQuestion,
    deniedForSeconds: (query, offset, nowMs) => lifeSeconds(denials, scratch, query, offset, addressTypes, nowMs),
    existsForSeconds: (query, offset, nowMs) => proofSeconds(answers, denials, scratch, query, offset, nowMs),
    findStale: (question, nowMs) =>
      findStaleIn(answers, denials, scratch, question, nowMs - limits.staleSeconds * 1000),
    findExpiredDenial: (question, nowMs) =>
      findDenialIn(denials, scratch, question, nowMs - limits.staleSeconds * 1000),
    use: (copy) => useIn(copy.kind === "answer" ? answers : denials, scratch, copy),
    setRefresh: refreshFrom,
    store,
    withdraw,
    entriesAt: (name, takesBelow) => [answers, denials].flatMap((each) => entriesIn(each, scratch, name, takesBelow)),
    remove: (entry) => removeKey(entry.kind === "answer" ? answers : denials, keyOfEntry(entry)),
    usage(kind) {
      const chosen = kind === "answer" ? answers : denials;
      return { entries: chosen.index.entryCount, sizeBytes: chosen.sizeBytes };
    },
    clear() {
      ({ answers, denials } = createStores());
      proofs.clear();
    },
    counters,
  };
}

function rowOfDenial(denials: EntryStore, query: ClientQuery, key: number, nowMs: number): number {
  const row = rowOfKey(denials, key);
  if (row !== none && answersQuery(denials, row, query, query.type, nowMs)) return row;
  if (!isHostType(query.type)) return none;
  const shared = rowOfKey(denials, keyOfQuery(query, addressTypes));
  return shared !== none && answersQuery(denials, shared, query, addressTypes, nowMs) ? shared : none;
}

function copyOfMatch(
  answers: EntryStore,
  denials: EntryStore,
  view: EntryView,
  query: ClientQuery,
  nowMs: number,
  isUse: boolean,
): CacheEntry | undefined {
  const key = keyOfQuery(query, query.type);
  const answer = rowOfKey(answers, key);
  const isAnswer = answer !== none && answersQuery(answers, answer, query, query.type, nowMs);
  const row = isAnswer ? answer : rowOfDenial(denials, query, key, nowMs);
  if (row === none) return undefined;
  const store = isAnswer ? answers : denials;
  if (isUse) markUsed(store, row);
  showEntry(store, row, view);
  return copyEntry(view);
}

/** What may still be given as an answer to `question`, provided that it expires after `sinceMs`. */
function findStaleIn(
  answers: EntryStore,
  denials: EntryStore,
  view: EntryView,
  question: Question,
  sinceMs: number,
): CacheEntry | undefined {
  const entry = peek(answers, question, view) ?? findNoData(answers, denials, view, question, sinceMs);
  return entry !== undefined && entry.expiresAtMs > sinceMs ? copyEntry(entry) : undefined;
}

/** NXDOMAIN of the question's name, provided that it expires after `sinceMs`. */
function findDenialIn(
  denials: EntryStore,
  view: EntryView,
  question: Question,
  sinceMs: number,
): CacheEntry | undefined {
  const entry = peek(denials, question, view) ?? peek(denials, { ...question, type: addressTypes }, view);
  if (entry === undefined || entry.expiresAtMs <= sinceMs) return undefined;
  return provesName(entry) ? undefined : copyEntry(entry);
}

/** NODATA for one address type of a name whose other type has data that may be given: musl needs both replies, and it denies nothing. */
function findNoData(
  answers: EntryStore,
  denials: EntryStore,
  view: EntryView,
  question: Question,
  sinceMs: number,
): CacheEntry | undefined {
  if (!isAddressType(question.type)) return undefined;
  const data = peek(answers, { ...question, type: otherAddressType(question.type) }, view);
  if (data === undefined || data.expiresAtMs <= sinceMs) return undefined;
  const denial = peek(denials, question, view);
  return denial !== undefined && rcodeOf(denial) === Rcode.NOERROR ? denial : undefined;
}

/** Counts a use of the entry that `copy` was made of, if it is still there, and gives the copy the turn of this use. */
function useIn(store: EntryStore, view: EntryView, copy: CacheEntry): CacheEntry {
  const row = rowOfKey(store, keyOfEntry(copy));
  if (row === none) return copy;
  showEntry(store, row, view);
  if (view.storedAtMs !== copy.storedAtMs || !hasName(copy, nameOf(view), view.nameSizeBytes)) return copy;
  countUse(store, row);
  showEntry(store, row, view);
  return { ...copy, turn: view.turn };
}

/** Shows the entry with this key, whatever its age. It is no use of it. */
function showIn(store: EntryStore, key: number, view: EntryView): CacheEntry | undefined {
  const row = rowOfKey(store, key);
  if (row === none) return undefined;
  showEntry(store, row, view);
  return view;
}

/** Shows a store's entry for exactly this question, whatever its age. It is no use of it. */
function peek(store: EntryStore, question: Question, view: EntryView): CacheEntry | undefined {
  return rowOf(store, question, view) === none ? undefined : view;
}

/** Like `peek`, but returns the entry's number, or `none`. */
function rowOf(store: EntryStore, question: Question, view: EntryView): number {
  const { nameHash, type, dnssecOk, checkingDisabled } = question;
  const row = rowOfKey(store, cacheKey(nameHash, type, question.class, dnssecOk, checkingDisabled));
  if (row === none) return none;
  showEntry(store, row, view);
  if (view.type !== type || view.class !== question.class) return none;
  if (view.dnssecOk !== dnssecOk || view.checkingDisabled !== checkingDisabled) return none;
  return hasName(view, question.name, question.name.length) ? row : none;
}

/**
 * How many seconds, rounded up, are left of a store's entry for `type` and the part of the query's name from `offset` on; 0 without one, and with
 * `isProofOnly` for one that does not show that the name exists.
 */
function lifeSeconds(
  store: EntryStore,
  view: EntryView,
  query: ClientQuery,
  offset: number,
  type: number,
  nowMs: number,
  isProofOnly = false,
): number {
  const { octets, sizeBytes, seed, hash } = query.name;
  const nameHash = offset === 0 ? hash : hashName(octets, offset, sizeBytes, seed);
  const key = cacheKey(nameHash, type, query.class, query.dnssecOk, (query.flags & Flag.CD) !== 0);
  const entry = showIn(store, key, view);
  if (entry === undefined || entry.type !== type || (isProofOnly && !provesName(entry))) return 0;
  const name = octets.subarray(offset, sizeBytes);
  return hasName(entry, name, name.length) ? Math.max(0, Math.ceil((entry.expiresAtMs - nowMs) / 1000)) : 0;
}

/** Copies of a store's entries of a name. */
function entriesIn(store: EntryStore, view: EntryView, name: Uint8Array, takesBelow: boolean): CacheEntry[] {
  const found: CacheEntry[] = [];
  for (let row = store.rows.after(none); row !== none; row = store.rows.after(row)) {
    showEntry(store, row, view);
    if (takesBelow ? isAtOrBelow(nameOf(view), name) : hasName(view, name, name.length)) found.push(copyEntry(view));
  }
  return found;
}

/** How many seconds, rounded up, are left of what shows that the name exists. */
function proofSeconds(
  answers: EntryStore,
  denials: EntryStore,
  view: EntryView,
  query: ClientQuery,
  offset: number,
  nowMs: number,
): number {
  return Math.max(
    lifeSeconds(answers, view, query, offset, RrType.A, nowMs),
    lifeSeconds(denials, view, query, offset, RrType.A, nowMs, true),
    lifeSeconds(answers, view, query, offset, RrType.AAAA, nowMs),
    lifeSeconds(denials, view, query, offset, RrType.AAAA, nowMs, true),
  );
}

function keyOfQuery({ name, class: rrClass, dnssecOk, flags }: ClientQuery, type: number): number {
  return cacheKey(name.hash, type, rrClass, dnssecOk, (flags & Flag.CD) !== 0);
}
