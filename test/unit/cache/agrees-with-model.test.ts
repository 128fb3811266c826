/*
 * The cache against a model that is a plain map: random stores, lookups and passing time.
 */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type CacheLimits, createAnswerCache } from "../../../src/cache/answer-cache.ts";
import { type CacheEntry, createEntry, ageSecondsOf } from "../../../src/cache/entry.ts";
import { addressTypes } from "../../../src/cache/key.ts";
import { judgeLifetime } from "../../../src/cache/lifetime.ts";
import { ExtendedError } from "../../../src/wire/codes.ts";
import { createQueryView, readQuery, type ClientQuery } from "../../../src/wire/query.ts";
import type { Question } from "../../../src/wire/question.ts";
import { shapeReply } from "../../../src/wire/shape-reply.ts";
import { storedSizeBytes } from "../../../src/wire/stored-message.ts";
import { a, aaaa, buildQuery, readMessage, soa, txt, Type } from "../../support/messages/messages.ts";
import {
  contentOf,
  nxdomain,
  queryFor,
  questionFor,
  replyFor,
  type ReplySpec,
  wideLimits,
} from "../../support/messages/parsed-messages.ts";

const timeBoxed = { numRuns: 300, interruptAfterTimeLimit: 2_000, markInterruptAsFailure: false } as const;

const names = ["a.example", "b.example", "c.example", "long.name.of.many.labels.example"] as const;
const types = [Type.A, Type.AAAA, Type.TXT] as const;

/** Which question an operation is about. */
interface Asked {
  readonly name: string;
  readonly type: number;
  readonly dnssecOk: boolean;
  readonly checkingDisabled: boolean;
}

type Operation =
  | { readonly do: "store"; readonly asked: Asked; readonly news: "data" | "nodata" | "nxdomain"; readonly ttl: number }
  | { readonly do: "find"; readonly asked: Asked }
  | { readonly do: "pass"; readonly ms: number };

const anyAsked: fc.Arbitrary<Asked> = fc.record({
  name: fc.constantFrom(...names),
  type: fc.constantFrom(...types),
  dnssecOk: fc.boolean(),
  checkingDisabled: fc.constantFrom(false, false, false, true),
});

const anyOperations: fc.Arbitrary<Operation[]> = fc.array(
  fc.oneof(
    fc.record({
      do: fc.constant("store" as const),
      asked: anyAsked,
      news: fc.constantFrom("data" as const, "nodata" as const, "nxdomain" as const),
      ttl: fc.integer({ min: 1, max: 20 }),
    }),
    fc.record({ do: fc.constant("find" as const), asked: anyAsked }),
    fc.record({ do: fc.constant("pass" as const), ms: fc.integer({ min: 1, max: 4000 }) }),
  ),
  { minLength: 5, maxLength: 60 },
);

/** What the model knows about a question. */
interface Known {
  readonly kind: "answer" | "denial";
  readonly ttl: number;
  readonly storedAtMs: number;
  readonly news: string;
  /** Tells one store operation from every other. */
  readonly serial: number;
}

/** The latest news per question. A denial is news about both address types if nothing proves that the name exists. */
function createModel(sharesDenials: boolean) {
  const known = new Map<string, Known & { readonly isShared: boolean }>();
  const keyOf = (asked: Asked, type = asked.type) => JSON.stringify({ ...asked, type });
  const keysOf = (asked: Asked, type: number) =>
    [true, false].flatMap((dnssecOk) =>
      [true, false].map((checkingDisabled) => keyOf({ ...asked, dnssecOk, checkingDisabled }, type)),
    );
  return {
    store(asked: Asked, news: string, ttl: number, storedAtMs: number, serial: number): void {
      const isAddress = asked.type === Type.A || asked.type === Type.AAAA;
      const otherType = asked.type === Type.A ? Type.AAAA : Type.A;
      // The name exists or it does not, whatever DO and CD a client sends.
      const isProven = keysOf(asked, otherType).some((key) => (known.get(key)?.news ?? "nxdomain") !== "nxdomain");
      const isShared = sharesDenials && isAddress && news === "nxdomain" && !isProven;
      const value = { kind: news === "data" ? "answer" : "denial", ttl, storedAtMs, news, serial, isShared } as const;
      known.set(keyOf(asked), value);
      if (!isAddress) return;
      for (const key of [...keysOf(asked, asked.type), ...keysOf(asked, otherType)]) {
        const contradicts = known.get(key)?.isShared !== isShared;
        if (key !== keyOf(asked) && contradicts) known.delete(key);
      }
      if (isShared) known.set(keyOf(asked, otherType), value);
    },
    find(asked: Asked, nowMs: number): Known | undefined {
      const value = known.get(keyOf(asked));
      return value !== undefined && nowMs < value.storedAtMs + value.ttl * 1000 ? value : undefined;
    },
  };
}

function specOf({ name, type }: Asked, news: "data" | "nodata" | "nxdomain", ttl: number): ReplySpec {
  if (news === "nxdomain") return { rcode: nxdomain, authorities: [soa(".", ttl, ttl)] };
  if (news === "nodata") return { authorities: [soa(".", ttl, ttl)] };
  if (type === Type.A) return { answers: [a(name, "192.0.2.1", ttl)] };
  return { answers: [type === Type.AAAA ? aaaa(name, 1, ttl) : txt(name, "x".repeat(100), ttl)] };
}

function makeEntry(question: Question, spec: ReplySpec, isShared: boolean, nowMs: number): CacheEntry {
  const reply = replyFor(question, spec);
  const lifetime = judgeLifetime(reply, question, wideLimits);
  return createEntry(question, reply, lifetime, wideLimits.maxTtlSeconds, isShared, nowMs);
}

/** One lookup: which store operation the cache found, and which one the model expects. */
interface LookedUp {
  readonly found: number | undefined;
  readonly expected: number | undefined;
  /** Whether it is a denial of the whole name: a cache that has forgotten why the name exists may give one. */
  readonly isDeniedName: boolean;
  /** The TTLs that the client would see, and the one that it should see. */
  readonly ttls: readonly number[];
  readonly ttlLeft: number;
}

interface Run {
  readonly lookUps: LookedUp[];
  /** The most that each store held at any time. */
  readonly largest: { answers: number; denials: number };
}

interface RunOptions {
  readonly limits: CacheLimits;
  readonly sharesDenials: boolean;
  readonly hashOf?: (hash: number) => number;
}

const target = new Uint8Array(65_535);

/** Runs the operations on a cache and the model. Every store operation is followed by a lookup. */
function run(operations: readonly Operation[], options: RunOptions): Run {
  const { limits, sharesDenials, hashOf = (hash) => hash } = options;
  const cache = createAnswerCache(limits);
  const model = createModel(sharesDenials);
  // By what they say: an entry that turns out to hold for only one type says the same.
  const serials = new Map<string, number>();
  const lookUps: LookedUp[] = [];
  const largest = { answers: 0, denials: 0 };
  let nowMs = 1000;
  for (const [serial, operation] of operations.entries()) {
    if (operation.do === "pass") {
      nowMs += operation.ms;
      continue;
    }
    const { asked } = operation;
    const query = queryFor(asked.name, asked.type, asked);
    query.name.hash = hashOf(query.name.hash);
    if (operation.do === "store") {
      const { news, ttl } = operation;
      const question = { ...questionFor(asked.name, asked.type, asked), nameHash: query.name.hash };
      const isShared = sharesDenials && news === "nxdomain" && asked.type !== Type.TXT;
      const entry = makeEntry(question, specOf(asked, news, ttl), isShared, nowMs);
      serials.set(labelOf(entry), serial);
      cache.store(entry);
      model.store(asked, news, ttl, nowMs, serial);
      largest.answers = Math.max(largest.answers, cache.usage("answer").sizeBytes);
      largest.denials = Math.max(largest.denials, cache.usage("denial").sizeBytes);
    }
    const entry = cache.find(query, nowMs);
    const known = model.find(asked, nowMs);
    lookUps.push({
      found: entry === undefined ? undefined : serials.get(labelOf(entry)),
      expected: known?.serial,
      isDeniedName: entry !== undefined && entry.type === addressTypes,
      ttls: entry === undefined ? [] : ttlsShown(entry, query, nowMs),
      ttlLeft: known === undefined ? 0 : known.ttl - Math.floor((nowMs - known.storedAtMs) / 1000),
    });
  }
  return { lookUps, largest };
}

function labelOf(entry: CacheEntry): string {
  const { octets, start, storedAtMs, dnssecOk, checkingDisabled } = entry;
  const message = Buffer.from(octets.subarray(start, start + storedSizeBytes(entry))).toString("latin1");
  return JSON.stringify([message, storedAtMs, dnssecOk, checkingDisabled]);
}

function ttlsShown(entry: CacheEntry, query: ClientQuery, nowMs: number): number[] {
  const size = shapeReply(target, entry, query, ageSecondsOf(entry, nowMs), 0, ExtendedError.none, 1232);
  const reply = readMessage(target.slice(0, size));
  return [...reply.answers, ...reply.authorities].map(({ ttl }) => ttl);
}

/** Lookups that found anything but the last entry stored for their question, or an expired one. */
function wrongAnswers({ lookUps }: Run): LookedUp[] {
  return lookUps.filter(
    ({ found, expected, isDeniedName }) => found !== undefined && found !== expected && !isDeniedName,
  );
}

const roomy: CacheLimits = { answersSizeBytes: 1_000_000, denialsSizeBytes: 1_000_000, staleSeconds: 60 };
const tight: CacheLimits = { answersSizeBytes: 1200, denialsSizeBytes: 1500, staleSeconds: 60 };

describe("the cache does what a plain map would", () => {
  test.each([
    ["with denials of one type each", false],
    ["with denials shared by A and AAAA", true],
  ])("when there is room for everything, %s", (_, sharesDenials) => {
    fc.assert(
      fc.property(anyOperations, (operations) => {
        const { lookUps } = run(operations, { limits: roomy, sharesDenials });
        expect(lookUps.map(({ found }) => found)).toEqual(lookUps.map(({ expected }) => expected));
      }),
      timeBoxed,
    );
  });

  test("when there is little room it forgets, but never invents and never exceeds a budget", () => {
    fc.assert(
      fc.property(anyOperations, fc.boolean(), (operations, sharesDenials) => {
        const result = run(operations, { limits: tight, sharesDenials });
        expect(wrongAnswers(result)).toEqual([]);
        expect(result.largest.answers).toBeLessThanOrEqual(tight.answersSizeBytes);
        expect(result.largest.denials).toBeLessThanOrEqual(tight.denialsSizeBytes);
      }),
      timeBoxed,
    );
  });

  test("when all names have one hash it forgets, but never answers one with another", () => {
    fc.assert(
      fc.property(anyOperations, fc.boolean(), (operations, sharesDenials) => {
        expect(wrongAnswers(run(operations, { limits: roomy, sharesDenials, hashOf: () => 42 }))).toEqual([]);
      }),
      timeBoxed,
    );
  });

  test("every TTL of a hit is the stored one less the seconds that have passed, and at least 1", () => {
    fc.assert(
      fc.property(anyOperations, (operations) => {
        const hits = run(operations, { limits: roomy, sharesDenials: true }).lookUps.filter(
          ({ ttls }) => ttls.length > 0,
        );
        expect(hits.map(({ ttls }) => ttls)).toEqual(hits.map(({ ttlLeft }) => [ttlLeft]));
        expect(hits.filter(({ ttlLeft }) => ttlLeft < 1)).toEqual([]);
      }),
      timeBoxed,
    );
  });
});

test("a lookup with a view that is refilled again and again finds what a fresh view finds", () => {
  const cache = createAnswerCache(roomy);
  for (const name of names)
    cache.store(makeEntry(questionFor(name, Type.A), { answers: [a(name, "192.0.2.1")] }, false, 0));
  const view = createQueryView(0x5eed);
  for (const name of [...names, ...names.toReversed()]) {
    const packet = buildQuery(name, Type.A);
    readQuery(packet, packet.length, view);
    const found = contentOf(cache.find(view, 0));
    expect(found).toBeDefined();
    expect(found).toEqual(contentOf(cache.find(queryFor(name, Type.A), 0)));
  }
});
