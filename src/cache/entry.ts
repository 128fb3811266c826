/*
 * One thing that the cache knows: a stored message, the question that it answers, and when it was stored and expires.
 */
import { Rcode } from "../wire/codes.ts";
import { HeaderOffset, headerSizeBytes, rcodeMask } from "../wire/header.ts";
import type { Question } from "../wire/question.ts";
import type { Reply } from "../wire/reply.ts";
import { readHeader, type StoredMessage, storedSizeBytes, storeMessage } from "../wire/stored-message.ts";
import { addressTypes, cacheKey } from "./key.ts";
import type { Lifetime } from "./lifetime.ts";

/**
 * An entry as an object: before it is stored, and as the cache hands it out. The question's name is folded in its octets, so that a lookup
 * can compare with them directly.
 */
export interface CacheEntry extends StoredMessage {
  readonly kind: "answer" | "denial";
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
  readonly refreshAtMs: number;
  /** How many queries it has answered, for the choice of what is popular: up to 65,535. */
  readonly hits: number;
}

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

/** What cacheKey makes of the entry's question. */
export function keyOfEntry({ nameHash, type, class: rrClass, dnssecOk, checkingDisabled }: CacheEntry): number {
  return cacheKey(nameHash, type, rrClass, dnssecOk, checkingDisabled);
}

/** A copy that shares no array with the entry. */
export function copyEntry(entry: CacheEntry): CacheEntry {
  const { octets, start } = entry;
  return { ...entry, octets: octets.slice(start, start + storedSizeBytes(entry)), start: 0 };
}

/** The type that upstream was asked for, even if the entry holds for both address types. */
export function askedType(entry: CacheEntry): number {
  return readHeader(entry, entry.questionEnd - 4);
}

/** A copy of a denial that holds for both address types, which holds only for the type that was asked. It shares the octets. */
export function forAskedType(entry: CacheEntry): CacheEntry {
  return { ...entry, type: askedType(entry) };
}

/** Whether the entry shows that its name exists: by data, by NODATA, or by an alias there, whatever its target is. */
export function provesName(entry: CacheEntry): boolean {
  return rcodeOf(entry) === Rcode.NOERROR || readHeader(entry, HeaderOffset.answerCount) > 0;
}

/** The rcode of the entry's message. */
export function rcodeOf(entry: CacheEntry): number {
  return readHeader(entry, HeaderOffset.flags) & rcodeMask;
}

/** The entry's name (folded, wire form): a view of its octets. */
export function nameOf({ octets, start, nameSizeBytes }: CacheEntry): Uint8Array {
  return octets.subarray(start + headerSizeBytes, start + headerSizeBytes + nameSizeBytes);
}

/** Whether the entry's question is about the folded name in the first `sizeBytes` octets of `name`. */
export function hasName(entry: CacheEntry, name: Uint8Array, sizeBytes: number): boolean {
  if (entry.nameSizeBytes !== sizeBytes) return false;
  const { octets } = entry;
  const nameStart = entry.start + headerSizeBytes;
  for (let at = 0; at < sizeBytes; at += 1) {
    if (octets[nameStart + at] !== name[at]) return false;
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
