/*
 * One thing that the cache knows: a stored message, the question that it answers, and when it was stored and expires.
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

/** An entry. The question's name is folded in its octets, so that a lookup can compare with them directly. */
export interface CacheEntry extends StoredMessage {
  readonly kind: "answer" | "denial";
  /** What cacheKey makes of the question. */
  readonly key: number;
  readonly nameHash: number;
  readonly nameSizeBytes: number;
  /** The question's type, or `addressTypes` for a denial of the whole name, which holds for every host type (wire/codes). */
  readonly type: number;
  readonly class: number;
  readonly dnssecOk: boolean;
  readonly checkingDisabled: boolean;
  /** Moments are monotonic, in milliseconds. From `expiresAtMs` on the entry is stale. */
  readonly storedAtMs: number;
  readonly expiresAtMs: number;
  /** From here on a popular entry is fetched again before it expires; moved on with each try, to infinity where it is in vain. */
  refreshAtMs: number;
  /** How many queries it has answered, for the choice of what is popular. */
  hits: number;
}

/** What an entry takes besides its octets: the object, two array headers, the slots of map and list. Measured, and rounded up. */
const overheadSizeBytes = 400;

/**
 * Makes an entry of the reply to `question`, which shares no array with either. A reply that must not be kept gets one too (with a
 * lifetime of 0), because those who wait for it are answered from it. TTLs are capped at `maxTtlSeconds`, and for a denial at its
 * lifetime. `sharedByAddressTypes` makes it a denial of the whole name.
 */
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

/** The bytes that an entry counts for in its store's budget. */
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

/** The type that upstream was asked for, even if the entry holds for both address types. */
export function askedType(entry: CacheEntry): number {
  return readU16(entry.octets, entry.questionEnd - 4);
}

/** A copy of a denial that holds for both address types, which holds only for the type that was asked. It shares the octets. */
export function forAskedType(entry: CacheEntry): CacheEntry {
  const type = askedType(entry);
  const { nameHash, class: rrClass, dnssecOk, checkingDisabled } = entry;
  return { ...entry, type, key: cacheKey(nameHash, type, rrClass, dnssecOk, checkingDisabled) };
}

/** Whether the entry shows that its name exists: by data, by NODATA, or by an alias there, whatever its target is. */
export function provesName(entry: CacheEntry): boolean {
  const rcode = readU16(entry.octets, HeaderOffset.flags) & rcodeMask;
  return rcode === Rcode.NOERROR || readU16(entry.octets, HeaderOffset.answerCount) > 0;
}

/** The entry's name (folded, wire form): a view of its octets. */
export function nameOf({ octets, nameSizeBytes }: CacheEntry): Uint8Array {
  return octets.subarray(headerSizeBytes, headerSizeBytes + nameSizeBytes);
}

/** Whether the entry's question is about the folded name in the first `sizeBytes` octets of `name`. */
export function hasName(entry: CacheEntry, name: Uint8Array, sizeBytes: number): boolean {
  if (entry.nameSizeBytes !== sizeBytes) return false;
  for (let at = 0; at < sizeBytes; at += 1) {
    if (entry.octets[headerSizeBytes + at] !== name[at]) return false;
  }
  return true;
}

/** Whole seconds since the entry was stored, by which its TTLs are lowered. */
export function ageSecondsOf(entry: CacheEntry, nowMs: number): number {
  return Math.floor((nowMs - entry.storedAtMs) / 1000);
}

/** The question that fetches this entry again: a new value with its own copy of the name, and with RD. */
export function questionOfEntry(entry: CacheEntry): Question {
  return {
    name: nameOf(entry).slice(),
    nameHash: entry.nameHash,
    type: entry.type,
    class: entry.class,
    dnssecOk: entry.dnssecOk,
    checkingDisabled: entry.checkingDisabled,
    recursionDesired: true,
  };
}
