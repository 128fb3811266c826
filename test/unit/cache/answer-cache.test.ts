import { isDeepStrictEqual } from "node:util";
import { describe, expect, test } from "vitest";
import { type AnswerCache, type CacheLimits, createAnswerCache } from "../../../src/cache/answer-cache.ts";
import type { CacheEntry } from "../../../src/cache/entry.ts";
import { entrySizeBytes } from "../../../src/cache/entry-store.ts";
import type { ClientQuery } from "../../../src/wire/query.ts";
import { a, aaaa, cname, soa, Type, txt } from "../../support/messages/messages.ts";
import {
  addressEntry,
  contentOf,
  denialEntry,
  entryFor,
  nodataEntry,
  queryFor,
  questionFor,
  type QueryDetails,
} from "../../support/messages/parsed-messages.ts";

const name = "www.example";
const roomy: CacheLimits = { answersSizeBytes: 1_000_000, denialsSizeBytes: 1_000_000, staleSeconds: 60 };
const askA = queryFor(name, Type.A);
const askAaaa = queryFor(name, Type.AAAA);

function ipv6Entry(owner: string, ttl: number, nowMs = 0): CacheEntry {
  return entryFor(questionFor(owner, Type.AAAA), { answers: [aaaa(owner, 1, ttl)] }, nowMs);
}

function cacheWith(...entries: CacheEntry[]): AnswerCache {
  const cache = createAnswerCache(roomy);
  for (const entry of entries) cache.store(entry);
  return cache;
}

describe("find", () => {
  test("an empty cache has nothing", () => {
    const cache = cacheWith();
    expect(cache.find(askA, 0)).toBeUndefined();
    expect(cache.counters).toEqual({
      answerHits: 0,
      denialHits: 0,
      sharedDenialHits: 0,
      misses: 1,
      answerEvictions: 0,
      denialEvictions: 0,
    });
  });

  test.each([
    [0, true],
    [4999, true],
    [5000, false],
    [60_000, false],
  ])("C1: at %i ms an answer of TTL 5 is fresh: %s", (nowMs, isFresh) => {
    const entry = addressEntry(name, 5);
    expect(contentOf(cacheWith(entry).find(askA, nowMs))).toEqual(contentOf(isFresh ? entry : undefined));
  });

  test.each([
    [2999, true],
    [3000, false],
  ])("C5: at %i ms a denial of 3 s is fresh: %s", (nowMs, isFresh) => {
    const denial = denialEntry(name, Type.A, 3);
    expect(contentOf(cacheWith(denial).find(askA, nowMs))).toEqual(contentOf(isFresh ? denial : undefined));
  });

  test("ignores the spelling of the name", () => {
    const entry = addressEntry(name, 5);
    expect(contentOf(cacheWith(entry).find(queryFor("wWw.eXample", Type.A), 0))).toEqual(contentOf(entry));
  });

  test("C12: tells type, class, DO and CD apart: each has its own entry", () => {
    const details: QueryDetails[] = [
      {},
      { dnssecOk: true },
      { checkingDisabled: true },
      { dnssecOk: true, checkingDisabled: true },
      { class: 3 },
    ];
    const entries = details.map((detail) => addressEntry(name, 5, 0, detail));
    const cache = cacheWith(...entries);
    expect(details.map((detail) => contentOf(cache.find(queryFor(name, Type.A, detail), 0)))).toEqual(
      entries.map(contentOf),
    );
    expect(cache.usage("answer").entries).toBe(details.length);
    expect(cache.find(askAaaa, 0)).toBeUndefined();
  });

  test("counts hits by store, and misses", () => {
    const cache = cacheWith(addressEntry(name, 5), denialEntry("gone.example", Type.A, 5));
    cache.find(askA, 0);
    cache.find(askA, 1);
    cache.find(queryFor("gone.example", Type.A), 0);
    cache.find(queryFor("new.example", Type.A), 0);
    cache.find(askA, 5000);
    expect(cache.counters).toMatchObject({ answerHits: 2, denialHits: 1, misses: 2 });
  });

  test("a later entry for the question replaces the earlier one", () => {
    const later = addressEntry(name, 5, 1000);
    const cache = cacheWith(addressEntry(name, 300), later);
    expect(contentOf(cache.find(askA, 1000))).toEqual(contentOf(later));
    expect(cache.find(askA, 6000)).toBeUndefined();
    expect(cache.usage("answer").entries).toBe(1);
  });
});

describe("two names with the same hash", () => {
  /** The query for another name, with the hash of `www.example`. */
  function clashing(other: string, type: number): ClientQuery {
    const query = queryFor(other, type);
    query.name.hash = askA.name.hash;
    return query;
  }

  test("a clash with an answer is a miss, never its answer", () => {
    expect(cacheWith(addressEntry(name, 5)).find(clashing("web.example", Type.A), 0)).toBeUndefined();
  });

  test("a clash with a denial is a miss", () => {
    expect(cacheWith(denialEntry(name, Type.A, 5)).find(clashing("web.example", Type.A), 0)).toBeUndefined();
  });

  test("a clash with a shared denial is a miss", () => {
    const cache = cacheWith(denialEntry(name, Type.A, 5, 0, true));
    expect(cache.find(clashing("web.example", Type.AAAA), 0)).toBeUndefined();
  });

  test("a clash with a stale answer gives nothing", () => {
    const cache = cacheWith(addressEntry(name, 5));
    const question = { ...questionFor("web.example", Type.A), nameHash: askA.name.hash };
    expect(cache.findStale(question, 6000)).toBeUndefined();
  });

  test("the two may take turns, each being found while it is there", () => {
    const question = { ...questionFor("web.example", Type.A), nameHash: askA.name.hash };
    const other = entryFor(question, { answers: [a("web.example", "192.0.2.7", 5)] });
    const cache = cacheWith(addressEntry(name, 5), other);
    expect(contentOf(cache.find(clashing("web.example", Type.A), 0))).toEqual(contentOf(other));
    expect(cache.find(askA, 0)).toBeUndefined();
  });
});

describe("findExpiredDenial", () => {
  test.each([
    ["NXDOMAIN for its type", denialEntry(name, Type.A, 5), 6000, true],
    ["NXDOMAIN of the whole name, learned for the other type", denialEntry(name, Type.AAAA, 5, 0, true), 6000, true],
    ["NXDOMAIN for the other type", denialEntry(name, Type.AAAA, 5), 6000, false],
    ["NODATA", nodataEntry(name, Type.A, 5), 6000, false],
    ["NXDOMAIN that is too old", denialEntry(name, Type.A, 5), 5000 + roomy.staleSeconds * 1000, false],
  ])("%s", (_, entry, nowMs, isThere) => {
    const found = cacheWith(entry).findExpiredDenial(questionFor(name, Type.A), nowMs);
    expect(contentOf(found)).toEqual(contentOf(isThere ? entry : undefined));
  });
});

test("what find returns stays as it is until find is called again, whatever is stored and evicted meanwhile", () => {
  const cache = createAnswerCache({ ...roomy, answersSizeBytes: 100_000 });
  const changed: number[] = [];
  let shown: CacheEntry | undefined;
  let before: ReturnType<typeof contentOf>;
  for (let index = 0; index < 20_000; index += 1) {
    cache.store(addressEntry(`n${index}.example`, 30));
    if (index % 500 > 0) continue;
    if (shown !== undefined && !isDeepStrictEqual(contentOf(shown), before)) changed.push(index);
    // One that will be evicted soon.
    shown = cache.find(queryFor(`n${index - (index % 3)}.example`, Type.A), 0);
    before = contentOf(shown);
  }
  expect(before).toBeDefined();
  expect(changed).toEqual([]);
});

describe("findStale", () => {
  const question = questionFor(name, Type.A);

  test.each([
    [5000, true],
    [64_999, true],
    [65_000, false],
  ])("at %i ms an answer of TTL 5 may still be given: %s (RFC 8767 §5)", (nowMs, isThere) => {
    const entry = addressEntry(name, 5);
    expect(contentOf(cacheWith(entry).findStale(question, nowMs))).toEqual(contentOf(isThere ? entry : undefined));
  });

  test("never gives a denial", () => {
    const cache = cacheWith(denialEntry(name, Type.A, 5), nodataEntry(name, Type.AAAA, 5));
    expect(cache.findStale(question, 6000)).toBeUndefined();
    expect(cache.findStale(questionFor(name, Type.AAAA), 6000)).toBeUndefined();
  });

  test.each([
    ["type", questionFor(name, Type.AAAA)],
    ["class", questionFor(name, Type.A, { class: 3 })],
    ["DO", questionFor(name, Type.A, { dnssecOk: true })],
    ["CD", questionFor(name, Type.A, { checkingDisabled: true })],
    ["name", questionFor("web.example", Type.A)],
  ])("gives nothing to a question with another %s", (_, other) => {
    expect(cacheWith(addressEntry(name, 5)).findStale(other, 6000)).toBeUndefined();
  });

  test("gives nothing with staleSeconds 0", () => {
    const cache = createAnswerCache({ ...roomy, staleSeconds: 0 });
    cache.store(addressEntry(name, 5));
    expect(cache.findStale(question, 5000)).toBeUndefined();
  });

  test("is no use of the entry: one that nobody could use is still evicted first", () => {
    const entries = [addressEntry("a.example", 5), addressEntry("b.example", 5)];
    const cache = createAnswerCache({ ...roomy, answersSizeBytes: 2 * entrySizeBytes(entries[0] as CacheEntry) });
    for (const entry of entries) cache.store(entry);
    cache.findStale(questionFor("a.example", Type.A), 6000);
    cache.store(addressEntry("c.example", 5));
    expect(cache.findStale(questionFor("a.example", Type.A), 6000)).toBeUndefined();
    expect(contentOf(cache.findStale(questionFor("b.example", Type.A), 6000))).toEqual(contentOf(entries[1]));
  });
});

describe("contradictions", () => {
  test("C13: a denial drops the answer to the same question, for stale use too", () => {
    const cache = cacheWith(addressEntry(name, 5), denialEntry(name, Type.A, 5, 6000));
    expect(cache.find(askA, 6000)).toMatchObject({ kind: "denial" });
    expect(cache.findStale(questionFor(name, Type.A), 12_000)).toBeUndefined();
  });

  test("an answer drops the denial of the same question", () => {
    const cache = cacheWith(denialEntry(name, Type.A, 300), addressEntry(name, 5));
    expect(cache.find(askA, 0)).toMatchObject({ kind: "answer" });
    expect(cache.find(askA, 5000)).toBeUndefined();
  });

  test("P2: outside the scope a denial of A does not affect AAAA", () => {
    const cache = cacheWith(ipv6Entry(name, 5), denialEntry(name, Type.A, 5));
    expect(cache.find(askAaaa, 0)).toMatchObject({ kind: "answer" });
    expect(cache.find(askA, 0)).toMatchObject({ kind: "denial" });
  });
});

describe("P2: a denial shared by A and AAAA", () => {
  test.each([
    ["A", Type.A],
    ["AAAA", Type.AAAA],
  ])("learned from %s answers both, and nothing else", (_, type) => {
    const denial = denialEntry(name, type, 5, 0, true);
    const cache = cacheWith(denial);
    expect(contentOf(cache.find(askA, 0))).toEqual(contentOf(denial));
    expect(contentOf(cache.find(askAaaa, 4999))).toEqual(contentOf(denial));
    expect(cache.find(askAaaa, 5000)).toBeUndefined();
    expect(cache.find(queryFor(name, Type.TXT), 0)).toBeUndefined();
    expect(cache.find(queryFor(name, Type.ANY), 0)).toBeUndefined();
    expect(cache.find(queryFor(`below.${name}`, Type.A), 0)).toBeUndefined();
  });

  test("holds for one DO and one CD", () => {
    const cache = cacheWith(denialEntry(name, Type.A, 5, 0, true));
    expect(cache.find(queryFor(name, Type.AAAA, { dnssecOk: true }), 0)).toBeUndefined();
    expect(cache.find(queryFor(name, Type.AAAA, { checkingDisabled: true }), 0)).toBeUndefined();
  });

  test.each([
    ["an IPv4 address", addressEntry(name, 5, 1000)],
    ["an IPv6 address", ipv6Entry(name, 5, 1000)],
    ["NODATA for A", nodataEntry(name, Type.A, 5, 1000)],
    ["NODATA for AAAA", nodataEntry(name, Type.AAAA, 5, 1000)],
  ])("%s withdraws it for both", (_, news) => {
    const cache = cacheWith(denialEntry(name, Type.A, 300, 0, true), news);
    const other = news.type === Type.A ? askAaaa : askA;
    expect(cache.find(other, 1000)).toBeUndefined();
    expect(contentOf(cache.find(news.type === Type.A ? askA : askAaaa, 1000))).toEqual(contentOf(news));
  });

  test("is not affected by data of another type", () => {
    const text = entryFor(questionFor(name, Type.TXT), { answers: [txt(name, "here", 30)] });
    const cache = cacheWith(denialEntry(name, Type.A, 5, 0, true), text);
    expect(cache.find(askA, 0)).toMatchObject({ kind: "denial" });
  });

  test("that a second type brings replaces the one of the first type", () => {
    const cache = cacheWith(denialEntry(name, Type.A, 5), denialEntry(name, Type.AAAA, 300, 1000, true));
    expect(cache.find(askA, 6000)).toMatchObject({ type: 0 });
    expect(cache.usage("denial").entries).toBe(1);
  });

  test("drops the data of its own type, whatever DO that was asked with", () => {
    const cache = cacheWith(addressEntry(name, 300, 0, { dnssecOk: true }), denialEntry(name, Type.A, 5, 1000, true));
    expect(cache.find(queryFor(name, Type.A, { dnssecOk: true }), 1000)).toBeUndefined();
    expect(cache.usage("answer").entries).toBe(0);
  });
});

describe("a name that exists according to one address type, and is denied for the other", () => {
  const aaaaDenial = denialEntry(name, Type.AAAA, 5, 1000, true);
  const alias = entryFor(questionFor(name, Type.A), {
    rcode: 3,
    answers: [cname(name, "gone.example", 300)],
    authorities: [soa(".", 300, 300)],
  });

  test.each([
    ["data", addressEntry(name, 300)],
    ["NODATA", nodataEntry(name, Type.A, 300)],
    ["data for clients with DO", addressEntry(name, 300, 0, { dnssecOk: true })],
    ["an alias to an absent name", alias],
  ])("keeps %s", (_, proof) => {
    const cache = cacheWith(proof, aaaaDenial);
    expect(contentOf(cache.find(queryFor(name, Type.A, { dnssecOk: proof.dnssecOk }), 1000))).toEqual(contentOf(proof));
    expect(cache.find(askAaaa, 1000)).toMatchObject({ kind: "denial", type: Type.AAAA });
  });

  test("is denied only for that type, even after the data has expired, which may still be given as a stale answer", () => {
    const cache = cacheWith(addressEntry(name, 30), denialEntry(name, Type.AAAA, 5, 40_000, true));
    expect(cache.find(askA, 40_000)).toBeUndefined();
    expect(cache.find(queryFor(name, Type.HTTPS), 40_000)).toBeUndefined();
    expect(cache.findStale(questionFor(name, Type.A), 40_000)).toBeDefined();
    expect(cache.deniedForSeconds(askA, 0, 40_000)).toBe(0);
  });

  test("is denied only for that type, even if the data must not be kept", () => {
    const cache = createAnswerCache(roomy);
    cache.withdraw(addressEntry(name, 0));
    cache.store(aaaaDenial);
    expect(cache.find(askA, 1000)).toBeUndefined();
    expect(cache.find(askAaaa, 1000)).toBeDefined();
  });

  test("is denied for both once the first type denies it too", () => {
    const aDenial = denialEntry(name, Type.A, 5, 2000, true);
    const cache = cacheWith(addressEntry(name, 300), aaaaDenial, aDenial);
    expect(contentOf(cache.find(askA, 2000))).toEqual(contentOf(aDenial));
    expect(contentOf(cache.find(askAaaa, 2000))).toEqual(contentOf(aDenial));
    expect(cache.usage("answer").entries).toBe(0);
  });

  test("is denied for both once the first type, whose data was not kept, denies it too", () => {
    const cache = createAnswerCache(roomy);
    cache.withdraw(addressEntry(name, 0));
    cache.store(denialEntry(name, Type.A, 5, 0, true));
    cache.store(aaaaDenial);
    expect(contentOf(cache.find(askA, 1000))).toEqual(contentOf(aaaaDenial));
  });

  test("exists for the rules for as long as the data lives, not the denial", () => {
    const cache = cacheWith(addressEntry(name, 3), denialEntry(name, Type.AAAA, 300, 0, true));
    expect(cache.existsForSeconds(askA, 0, 0)).toBe(3);
  });
});

describe("budgets", () => {
  const size = entrySizeBytes(addressEntry("n0.example", 30));
  const small: CacheLimits = { answersSizeBytes: 3 * size, denialsSizeBytes: 100_000, staleSeconds: 60 };

  test("of the answers that nobody used the first is evicted, and counted", () => {
    const cache = createAnswerCache(small);
    for (const index of [0, 1, 2]) cache.store(addressEntry(`n${index}.example`, 30));
    cache.find(queryFor("n0.example", Type.A), 0);
    cache.store(addressEntry("n3.example", 30));
    const found = [0, 1, 2, 3].filter((index) => cache.find(queryFor(`n${index}.example`, Type.A), 0) !== undefined);
    expect(found).toEqual([0, 2, 3]);
    expect(cache.counters).toMatchObject({ answerEvictions: 1, denialEvictions: 0 });
    expect(cache.usage("answer")).toEqual({ entries: 3, sizeBytes: 3 * size });
  });

  test("a flood of denials evicts only denials", () => {
    const cache = createAnswerCache({ ...small, denialsSizeBytes: 3 * size });
    cache.store(addressEntry(name, 30));
    for (let index = 0; index < 100; index += 1) cache.store(denialEntry(`absent${index}.example`, Type.A, 30));
    expect(cache.find(askA, 0)).toBeDefined();
    expect(cache.usage("denial").sizeBytes).toBeLessThanOrEqual(3 * size);
    expect(cache.counters.answerEvictions).toBe(0);
    expect(cache.counters.denialEvictions).toBe(100 - cache.usage("denial").entries);
  });

  test("a flood of answers evicts only answers", () => {
    const cache = createAnswerCache(small);
    cache.store(denialEntry("gone.example", Type.A, 30));
    for (let index = 0; index < 100; index += 1) cache.store(addressEntry(`n${index}.example`, 30));
    expect(cache.find(queryFor("gone.example", Type.A), 0)).toBeDefined();
    expect(cache.usage("answer").sizeBytes).toBeLessThanOrEqual(3 * size);
    expect(cache.counters.denialEvictions).toBe(0);
  });

  test("an entry larger than the budget is not kept, evicts nothing, and leaves nothing older behind", () => {
    const cache = createAnswerCache(small);
    cache.store(addressEntry("small.example", 30));
    cache.store(addressEntry(name, 30));
    const answers = Array.from({ length: 200 }, (_, index) => a(name, `192.0.2.${index}`, 30));
    cache.store(entryFor(questionFor(name, Type.A), { answers }));
    expect(cache.find(askA, 0)).toBeUndefined();
    expect(cache.find(queryFor("small.example", Type.A), 0)).toBeDefined();
    expect(cache.counters.answerEvictions).toBe(0);
  });

  test("replacing is not evicting", () => {
    const cache = cacheWith(addressEntry(name, 30), addressEntry(name, 30, 1000), denialEntry(name, Type.A, 5, 2000));
    expect(cache.counters).toMatchObject({ answerEvictions: 0, denialEvictions: 0 });
    expect(cache.usage("answer")).toEqual({ entries: 0, sizeBytes: 0 });
  });

  test("an expired entry counts until it is replaced", () => {
    const cache = cacheWith(addressEntry(name, 5));
    cache.find(askA, 10_000);
    expect(cache.usage("answer")).toEqual({ entries: 1, sizeBytes: entrySizeBytes(addressEntry(name, 5)) });
  });
});

describe("withdraw: a reply that is not kept is still the newer one", () => {
  test.each([
    ["answer", addressEntry(name, 5)],
    ["denial", denialEntry(name, Type.A, 300)],
    ["NODATA", nodataEntry(name, Type.A, 300)],
    ["shared denial", denialEntry(name, Type.AAAA, 300, 0, true)],
  ])("drops an earlier %s, for stale use too, and puts nothing in its place", (_, before) => {
    const cache = cacheWith(before);
    cache.withdraw(addressEntry(name, 0, 6000));
    expect(cache.find(askA, 0)).toBeUndefined();
    expect(cache.findStale(questionFor(name, Type.A), 6000)).toBeUndefined();
    expect(cache.usage("answer").entries + cache.usage("denial").entries).toBe(0);
  });

  test("a shared denial drops what it denies, and leaves the other address type", () => {
    const cache = cacheWith(addressEntry(name, 300), ipv6Entry(name, 300));
    cache.withdraw(denialEntry(name, Type.A, 0, 1000, true));
    expect(cache.find(askA, 1000)).toBeUndefined();
    expect(cache.find(askAaaa, 1000)).toBeDefined();
  });

  test("entries of other names, types, DO and CD stay", () => {
    const others = [
      addressEntry("web.example", 300),
      ipv6Entry(name, 300),
      addressEntry(name, 300, 0, { dnssecOk: true }),
      addressEntry(name, 300, 0, { checkingDisabled: true }),
    ];
    const cache = cacheWith(addressEntry(name, 300), ...others);
    cache.withdraw(addressEntry(name, 0));
    expect(cache.usage("answer").entries).toBe(others.length);
  });
});

test("clear forgets everything and counts no evictions", () => {
  const cache = cacheWith(addressEntry(name, 5), denialEntry("gone.example", Type.A, 5));
  cache.clear();
  expect(cache.find(askA, 0)).toBeUndefined();
  expect(cache.find(queryFor("gone.example", Type.A), 0)).toBeUndefined();
  expect(cache.usage("answer")).toEqual({ entries: 0, sizeBytes: 0 });
  expect(cache.usage("denial")).toEqual({ entries: 0, sizeBytes: 0 });
  expect(cache.counters).toMatchObject({ answerEvictions: 0, denialEvictions: 0 });
});
