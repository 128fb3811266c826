/*
 * Queries, questions, replies and entries for tests: built independently of src/wire, then read by it, as they arrive in life.
 */
import { type CacheEntry, createEntry } from "../../../src/cache/entry.ts";
import { judgeLifetime, type LifetimeLimits } from "../../../src/cache/lifetime.ts";
import { nameToText } from "../../../src/wire/name-text.ts";
import { type ClientQuery, createQueryView, readQuery } from "../../../src/wire/query.ts";
import { composeQuery, type Question, questionOf } from "../../../src/wire/question.ts";
import { parseReply, type Reply } from "../../../src/wire/reply.ts";
import { storedSizeBytes } from "../../../src/wire/stored-message.ts";
import { a, buildQuery, Flags, replyTo, soa, type TestMessage, Type } from "./messages.ts";

/** What may differ between two queries for the same name and type. */
export interface QueryDetails {
  readonly class?: number;
  readonly dnssecOk?: boolean;
  readonly checkingDisabled?: boolean;
  readonly recursionDesired?: boolean;
}

/** The content of a reply: sections, flags beside QR, RD and RA, and the rcode. */
export type ReplySpec = TestMessage & { readonly rcode?: number };

/** Limits so high that only a test's own records decide. */
export const wideLimits: LifetimeLimits = { maxTtlSeconds: 604_800, maxDenialTtlSeconds: 604_800 };

/** NXDOMAIN as the rcode. */
export const nxdomain = 3;

/** What names are hashed with in tests. */
export const hashSeed = 0x5eed;

/** A client's query, read. Each call makes a view of its own. */
export function queryFor(name: string, type: number, details: QueryDetails = {}): ClientQuery {
  const { class: rrClass = 1, dnssecOk = false, checkingDisabled = false, recursionDesired = true } = details;
  const flags = (recursionDesired ? Flags.RD : 0) | (checkingDisabled ? Flags.CD : 0);
  const opt = dnssecOk ? { dnssecOk } : undefined;
  const packet = buildQuery(name, type, { flags, opt, questions: [{ name, type, class: rrClass }] });
  const view = createQueryView(hashSeed);
  const fault = readQuery(packet, packet.length, view);
  if (fault !== 0) throw new Error(`the query for ${name} has fault ${fault}`);
  return view;
}

/** The query that asks a question, as a client sends it: with its bits, and no EDNS beyond DO. */
export function queryOf(question: Question): ClientQuery {
  return queryFor(nameToText(question.name), question.type, {
    class: question.class,
    dnssecOk: question.dnssecOk,
    checkingDisabled: question.checkingDisabled,
    recursionDesired: question.recursionDesired,
  });
}

/** The question of such a query. */
export function questionFor(name: string, type: number, details: QueryDetails = {}): Question {
  return questionOf(queryFor(name, type, details));
}

/** An upstream's reply to a question, read. */
export function replyFor(question: Question, spec: ReplySpec = {}): Reply {
  const reply = parseReply(replyTo(composeQuery(question), spec));
  if (typeof reply === "number") throw new Error(`the reply has fault ${reply}`);
  return reply;
}

/** The entry that a reply makes. `shared` makes a denial hold for A and AAAA alike. */
export function entryFor(question: Question, spec: ReplySpec, nowMs = 0, shared = false): CacheEntry {
  const reply = replyFor(question, spec);
  const lifetime = judgeLifetime(reply, question, wideLimits);
  return createEntry(question, reply, lifetime, wideLimits.maxTtlSeconds, shared, nowMs);
}

/** What an entry says, wherever its octets are and however often it was used. */
export function contentOf(entry: CacheEntry | undefined) {
  if (entry === undefined) return undefined;
  const { octets, start, turn: _turn, hits: _hits, ...fields } = entry;
  return { ...fields, octets: octets.slice(start, start + storedSizeBytes(entry)) };
}

/** An entry with one address. */
export function addressEntry(name: string, ttl: number, nowMs = 0, details: QueryDetails = {}): CacheEntry {
  return entryFor(questionFor(name, Type.A, details), { answers: [a(name, "192.0.2.1", ttl)] }, nowMs);
}

/** An entry that denies: NXDOMAIN, of one type unless `shared`. The SOA is the root's, so that it encloses every name. */
export function denialEntry(name: string, type: number, ttl: number, nowMs = 0, shared = false): CacheEntry {
  return entryFor(questionFor(name, type), { rcode: nxdomain, authorities: [soa(".", ttl, ttl)] }, nowMs, shared);
}

/** An entry that says: the name exists, this type does not. */
export function nodataEntry(name: string, type: number, ttl: number, nowMs = 0): CacheEntry {
  return entryFor(questionFor(name, type), { authorities: [soa(".", ttl, ttl)] }, nowMs);
}
