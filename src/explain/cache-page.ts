/*
 * What the cache has of a name, for people, and how they make it forget: what the admin server tells at /cache, and does at /cache/flush.
 */
import type { AnswerCache } from "../cache/answer-cache.ts";
import { ageSecondsOf, askedType, type CacheEntry } from "../cache/entry.ts";
import type { FailureMemory } from "../cache/failure-memory.ts";
import { addressTypes } from "../cache/key.ts";
import { describeEntry } from "../resolve/answer-from-cache.ts";
import type { Foresee } from "../resolve/foresee.ts";
import { rcodeName, RrType, typeFromName, typeName } from "../wire/codes.ts";
import { wrongNameText } from "../runtime/wrong-name.ts";
import { equalOctets, isAtOrBelow } from "../wire/name.ts";
import { nameFromText, nameToText } from "../wire/name-text.ts";
import { readU32 } from "../wire/octets.ts";
import { askedBy } from "../wire/question.ts";
import { nameTextAt, recordDataText } from "../wire/record-text.ts";
import { parseReply, type RecordView } from "../wire/reply.ts";
import { messageOf } from "../wire/stored-message.ts";
import { describeForesight } from "./describe-foresight.ts";

/** What both pages look at. Moments are monotonic milliseconds. */
export interface CacheParts {
  readonly cache: AnswerCache;
  readonly failures: FailureMemory;
  readonly foresee: Foresee;
  /** For how long after its end an answer may be given. */
  staleSeconds(): number;
  /** From where an entry came, in words; "" if that is not known any more. `type` is the one that was asked for. */
  sourceOf(nameHash: number, type: number, storedAtMs: number): string;
  nowMs(): number;
}

/** One thing that is kept of a name. */
export interface KeptOfName {
  /** A record type; "A and AAAA" for a denial of the whole name. */
  readonly type: string;
  readonly kind: "data" | "noData" | "denied" | "failure";
  /** `stale` may still be given while there is nothing better, `expired` is not. */
  readonly state: "fresh" | "stale" | "expired";
  /** What is left of its life; 0 once that is over. */
  readonly ttlSeconds: number;
  /** How long its life has been over. */
  readonly overSeconds: number;
  readonly storedSecondsAgo: number;
  /** How many queries it has answered. */
  readonly hits: number;
  readonly dnssecOk: boolean;
  readonly checkingDisabled: boolean;
  readonly source: string;
  /** For a failure, the code that clients get. */
  readonly rcode: string;
  readonly records: readonly { name: string; ttlSeconds: number; type: string; data: string }[];
}

/** What is kept of a name, and what would be done with queries for it now. */
export interface CacheView {
  readonly name: string;
  readonly kept: readonly KeptOfName[];
  readonly now: readonly { readonly type: string; readonly foreseen: string }[];
}

/** What was forgotten. */
export interface Flushed {
  readonly name: string;
  readonly below: boolean;
  readonly entries: number;
  readonly failures: number;
}

/** Looks at the name (and type, if one is given) that the parameters say. `wrong` says which of them cannot be used. */
export function showCache(
  parameters: URLSearchParams,
  parts: CacheParts,
): { readonly view: CacheView } | { readonly wrong: string } {
  const name = nameIn(parameters);
  if ("wrong" in name) return name;
  const typeText = parameters.get("type");
  const type = typeText === null ? undefined : typeFromName(typeText);
  if (typeText !== null && type === undefined) return { wrong: "type is not a record type" };
  const entries = parts.cache.entriesAt(name, false).filter((entry) => type === undefined || answersType(entry, type));
  const failures = failuresAt(name, false, parts).filter((key) => type === undefined || askedBy(key).type === type);
  const kept = [
    ...entries.map((entry) => tellEntry(entry, parts)),
    ...failures.flatMap((key) => tellFailure(key, parts) ?? []),
  ];
  const types = type === undefined ? [RrType.A, RrType.AAAA] : [type];
  const now = parts.foresee(name, types).map((foresight, index) => ({
    type: typeName(types[index] ?? 0),
    foreseen: describeForesight(foresight),
  }));
  return { view: { name: nameToText(name), kept: kept.toSorted((one, other) => compare(one.type, other.type)), now } };
}

/** Forgets what is kept of the name that the parameters say, and with `below` of all names below it. */
export function flushCache(
  parameters: URLSearchParams,
  parts: CacheParts,
): { readonly flushed: Flushed } | { readonly wrong: string } {
  const name = nameIn(parameters);
  if ("wrong" in name) return name;
  const below = parameters.has("below");
  const entries = parts.cache.entriesAt(name, below);
  const failures = failuresAt(name, below, parts);
  for (const entry of entries) parts.cache.remove(entry);
  for (const key of failures) parts.failures.forget(key);
  return { flushed: { name: nameToText(name), below, entries: entries.length, failures: failures.length } };
}

/** The view as text, lines of any length. */
export function printCacheView({ name, kept, now }: CacheView): string {
  const lines = kept.flatMap((one) => [
    `${name} ${one.type}: ${describeKept(one)}`,
    ...one.records.map((record) => `    ${record.name} ${record.ttlSeconds} ${record.type} ${record.data}`),
  ]);
  const nothing = kept.length === 0 ? [`nothing is kept of ${name}`] : [];
  const foreseen = now.map(({ type, foreseen: what }) => `asked now, ${type}: ${what}`);
  return [...nothing, ...lines, ...foreseen].map((line) => `${line}\n`).join("");
}

/** What was forgotten, as one line. */
export function printFlushed({ name, below, entries, failures }: Flushed): string {
  const where = below ? `${name} and names below it` : name;
  if (entries + failures === 0) return `nothing was kept of ${where}\n`;
  return `forgotten of ${where}: ${count(entries, "entry", "entries")}, ${count(failures, "failure", "failures")}\n`;
}

/** Octets beyond ASCII are escaped, as names are told; in letters they would be taken for a name that nobody asks for. */
function nameIn(parameters: URLSearchParams): Uint8Array | { readonly wrong: string } {
  const text = parameters.get("name") ?? "";
  const name = /^[!-~]+$/.test(text) ? nameFromText(text) : undefined;
  return name ?? { wrong: wrongNameText(text) };
}

function answersType(entry: CacheEntry, type: number): boolean {
  return entry.type === type || (entry.type === addressTypes && (type === RrType.A || type === RrType.AAAA));
}

function failuresAt(name: Uint8Array, takesBelow: boolean, { failures }: CacheParts): string[] {
  return [...failures.keys()].filter((key) => {
    const { name: asked } = askedBy(key);
    return takesBelow ? isAtOrBelow(asked, name) : asked.length === name.length && equalOctets(asked, 0, name);
  });
}

function tellEntry(entry: CacheEntry, parts: CacheParts): KeptOfName {
  const nowMs = parts.nowMs();
  const described = describeEntry(entry, nowMs);
  const overMs = Math.max(0, nowMs - entry.expiresAtMs);
  const isGiven = overMs <= parts.staleSeconds() * 1000;
  return {
    type: entry.type === addressTypes ? "A and AAAA" : typeName(entry.type),
    kind: described.kind === "cached" ? described.verdict : "data",
    state: nowMs < entry.expiresAtMs ? "fresh" : isGiven ? "stale" : "expired",
    ttlSeconds: described.kind === "cached" ? described.ttlSeconds : 0,
    overSeconds: Math.floor(overMs / 1000),
    storedSecondsAgo: ageSecondsOf(entry, nowMs),
    hits: entry.hits,
    dnssecOk: entry.dnssecOk,
    checkingDisabled: entry.checkingDisabled,
    source: parts.sourceOf(entry.nameHash, askedType(entry), entry.storedAtMs),
    rcode: "",
    records: recordsOf(entry, nowMs),
  };
}

/** A failure that is no longer kept, or does not hold any more, is nothing that decides about a query. */
function tellFailure(key: string, { failures, nowMs }: CacheParts): KeptOfName | undefined {
  const failure = failures.peek(key, nowMs());
  if (failure === undefined) return undefined;
  return {
    type: typeName(askedBy(key).type),
    kind: "failure",
    state: "fresh",
    ttlSeconds: Math.ceil((failure.untilMs - nowMs()) / 1000),
    overSeconds: 0,
    storedSecondsAgo: 0,
    hits: 0,
    dnssecOk: false,
    checkingDisabled: false,
    source: "",
    rcode: rcodeName(failure.rcode),
    records: [],
  };
}

function recordsOf(entry: CacheEntry, nowMs: number): KeptOfName["records"] {
  const reply = parseReply(messageOf(entry));
  if (typeof reply === "number") return [];
  const { packet } = reply;
  const ageSeconds = ageSecondsOf(entry, nowMs);
  return [...reply.answers, ...reply.authorities, ...reply.additionals].map((record: RecordView) => ({
    name: nameTextAt(packet, record.owner, packet.length),
    ttlSeconds: Math.max(0, readU32(packet, record.ttlOffset) - ageSeconds),
    type: typeName(record.type),
    data: recordDataText(record, packet),
  }));
}

const kindWords = { data: "data", noData: "no such records", denied: "no such name", failure: "failed" } as const;

function describeKept(kept: KeptOfName): string {
  const { kind, state, ttlSeconds, overSeconds, storedSecondsAgo, hits, source } = kept;
  if (kind === "failure") return `failed a moment ago (${kept.rcode}), not asked again for ${ttlSeconds} s`;
  const life = {
    fresh: `${ttlSeconds} s left`,
    stale: `stale for ${overSeconds} s, given while upstream is away`,
    expired: `expired for ${overSeconds} s, not given any more`,
  };
  return [
    kindWords[kind],
    life[state],
    `stored ${storedSecondsAgo} s ago`,
    `used ${count(hits, "time", "times")}`,
    ...(kept.dnssecOk ? ["for DO"] : []),
    ...(kept.checkingDisabled ? ["for CD"] : []),
    ...(source === "" ? [] : [`from ${source}`]),
  ].join(", ");
}

function count(number: number, one: string, many: string): string {
  return `${number} ${number === 1 ? one : many}`;
}

function compare(one: string, other: string): number {
  return one < other ? -1 : Number(one > other);
}
