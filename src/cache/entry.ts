/*
 * One thing that the cache knows: a stored message, the question it answers, and its moments.
 */
import { isHostType, Rcode } from "../wire/codes.ts";
import { Flag, HeaderOffset, headerSizeBytes, rcodeMask } from "../wire/header.ts";
import { readU16 } from "../wire/octets.ts";
import type { ClientQuery } from "../wire/query.ts";
import type { Question } from "../wire/question.ts";
import type { Reply } from "../wire/reply.ts";
import { type StoredMessage, storeMessage } from "../wire/stored-message.ts";
import { addressTypes, cacheKey } from "./key.ts";
import type { Lifetime } from "./lifetime.ts";

/** An entry. Its octets hold the question's name folded, so that they are also what a lookup compares with. */
export interface CacheEntry extends StoredMessage {
  readonly kind: "answer" | "denial";
  readonly key: number;
  readonly nameHash: number;
  readonly nameSizeBytes: number;
  /** The question's type, or `addressTypes` for a denial of the whole name, which holds for every host type (wire/codes). */
  readonly type: number;
  readonly class: number;
  readonly dnssecOk: boolean;
  readonly checkingDisabled: boolean;
  /** Monotonic moments in milliseconds. From `expiresAtMs` on the entry is stale. */
  readonly storedAtMs: number;
  readonly expiresAtMs: number;
  /** From here on a popular entry is fetched again before it expires; moved on with each try. */
  refreshAtMs: number;
  hits: number;
}

/** Per entry beside its octets: the object, the two array headers, the slots of map and list. Measured, rounded up. */
const overheadSizeBytes = 400;

/** Makes an entry of a reply, also of one that must not be kept: waiters in flight are answered from it all the same. */
export function createEntry(
  question: Question,
  reply: Reply,
  lifetime: Lifetime,
  maxTtlSeconds: number,
  sharedByAddressTypes: boolean,
  nowMs: number,
): CacheEntry {
  const isKeptDenial = lifetime.kind === "denial" && lifetime.ttlSeconds > 0;
  const message = storeMessage(
    reply,
    maxTtlSeconds,
    isKeptDenial ? lifetime.ttlSeconds : maxTtlSeconds,
    lifetime.kind === "answer",
  );
  message.octets.set(question.name, headerSizeBytes);
  const type = sharedByAddressTypes ? addressTypes : question.type;
  const lifetimeMs = lifetime.ttlSeconds * 1000;
  return {
    ...message,
    kind: lifetime.kind,
    key: cacheKey(question.nameHash, type, question.class, question.dnssecOk, question.checkingDisabled),
    nameHash: question.nameHash,
    nameSizeBytes: question.name.length,
    type,
    class: question.class,
    dnssecOk: question.dnssecOk,
    checkingDisabled: question.checkingDisabled,
    storedAtMs: nowMs,
    expiresAtMs: nowMs + lifetimeMs,
    refreshAtMs: lifetime.kind === "answer" ? nowMs + 0.9 * lifetimeMs : Infinity,
    hits: 0,
  };
}

/** What an entry counts against its store's budget. */
export function entrySizeBytes(entry: CacheEntry): number {
  return entry.octets.length + overheadSizeBytes;
}

/** Whether the entry answers the query: the same folded name, type (or any host type), class, DO and CD. */
export function answersQuery(entry: CacheEntry, query: ClientQuery): boolean {
  const isType = entry.type === query.type || (entry.type === addressTypes && isHostType(query.type));
  if (!isType || entry.class !== query.class || entry.dnssecOk !== query.dnssecOk) return false;
  if (entry.checkingDisabled !== ((query.flags & Flag.CD) !== 0)) return false;
  return hasName(entry, query.name.octets, query.name.sizeBytes);
}

/** The type that was asked for upstream, also where the entry holds for both address types. */
export function askedType(entry: CacheEntry): number {
  return readU16(entry.octets, entry.questionEnd - 4);
}

/** A denial that holds for both address types, as one that holds for the type that was asked alone. */
export function forAskedType(entry: CacheEntry): CacheEntry {
  const type = askedType(entry);
  const { nameHash, class: rrClass, dnssecOk, checkingDisabled } = entry;
  return { ...entry, type, key: cacheKey(nameHash, type, rrClass, dnssecOk, checkingDisabled) };
}

/** Whether the entry says that its name exists: by data, by NODATA, or by an alias there, whatever became of its target. */
export function provesName(entry: CacheEntry): boolean {
  const rcode = readU16(entry.octets, HeaderOffset.flags) & rcodeMask;
  return rcode === Rcode.NOERROR || readU16(entry.octets, HeaderOffset.answerCount) > 0;
}

/** Whether the entry's question has the folded name in the first `sizeBytes` octets of `name`. */
export function hasName(entry: CacheEntry, name: Uint8Array, sizeBytes: number): boolean {
  if (entry.nameSizeBytes !== sizeBytes) return false;
  for (let at = 0; at < sizeBytes; at += 1) {
    if (entry.octets[headerSizeBytes + at] !== name[at]) return false;
  }
  return true;
}

/** Whole seconds since the entry was stored: what its TTLs are lowered by. */
export function ageSecondsOf(entry: CacheEntry, nowMs: number): number {
  return Math.floor((nowMs - entry.storedAtMs) / 1000);
}

/** The question that fetches this entry again. A new value with its own name. */
export function questionOfEntry(entry: CacheEntry): Question {
  return {
    name: entry.octets.slice(headerSizeBytes, headerSizeBytes + entry.nameSizeBytes),
    nameHash: entry.nameHash,
    type: entry.type,
    class: entry.class,
    dnssecOk: entry.dnssecOk,
    checkingDisabled: entry.checkingDisabled,
    recursionDesired: true,
  };
}
