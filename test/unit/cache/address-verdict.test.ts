import { describe, expect, test } from "vitest";
import { type AnswerCache, createAnswerCache } from "../../../src/cache/answer-cache.ts";
import { Type } from "../../support/messages/messages.ts";
import {
  addressEntry,
  denialEntry,
  nodataEntry,
  queryFor,
  type QueryDetails,
} from "../../support/messages/parsed-messages.ts";

const parent = "com.svc.cluster.local";
const child = `baidu.${parent}`;

function createCache(): AnswerCache {
  return createAnswerCache({ answersSizeBytes: 1_000_000, denialsSizeBytes: 1_000_000, staleSeconds: 3600 });
}

/** For how many seconds the parent is denied or, with a minus sign, known to exist, according to a query for the child. */
function verdict(cache: AnswerCache, nowMs = 0, details: QueryDetails = {}, name = child): number {
  const query = queryFor(name, Type.AAAA, details);
  const deniedSeconds = cache.deniedForSeconds(query, "baidu.".length, nowMs);
  return deniedSeconds > 0 ? deniedSeconds : 0 - cache.existsForSeconds(query, "baidu.".length, nowMs);
}

test("a name that nothing is known about is denied and known for 0 seconds", () => {
  expect(verdict(createCache())).toBe(0);
});

describe("a denial for both address types", () => {
  test.each([
    [0, 5],
    [1, 5],
    [1000, 4],
    [4000, 1],
    [4001, 1],
    [5000, 0],
    [60_000, 0],
  ])("%i ms after it came, is good for another %i seconds, rounded up as in its own replies", (nowMs, seconds) => {
    const cache = createCache();
    cache.store(denialEntry(parent, Type.A, 5, 0, true));
    expect(verdict(cache, nowMs)).toBe(seconds);
  });

  test("counts only for exactly that name", () => {
    const cache = createCache();
    cache.store(denialEntry("net.svc.cluster.local", Type.A, 5, 0, true));
    cache.store(denialEntry("svc.cluster.local", Type.A, 5, 0, true));
    expect(verdict(cache)).toBe(0);
  });

  test("counts only for the same DO and CD", () => {
    const cache = createCache();
    cache.store(denialEntry(parent, Type.A, 5, 0, true));
    expect(verdict(cache, 0, { dnssecOk: true })).toBe(0);
    expect(verdict(cache, 0, { checkingDisabled: true })).toBe(0);
    expect(verdict(cache, 0, { class: 3 })).toBe(0);
  });

  test("ignores the spelling of the query", () => {
    const cache = createCache();
    cache.store(denialEntry(parent, Type.A, 5, 0, true));
    expect(verdict(cache, 0, {}, "BAIDU.Com.SVC.cluster.LOCAL")).toBe(5);
  });
});

test("a denial of only one type is not a denial of the name", () => {
  const cache = createCache();
  cache.store(denialEntry(parent, Type.TXT, 5));
  expect(verdict(cache)).toBe(0);
});

describe("a name that exists", () => {
  test.each([
    ["data for A", () => addressEntry(parent, 30)],
    ["NODATA for A", () => nodataEntry(parent, Type.A, 30)],
    ["NODATA for AAAA", () => nodataEntry(parent, Type.AAAA, 30)],
  ])("is known from %s, for as long as that lives", (_, entry) => {
    const cache = createCache();
    cache.store(entry());
    expect(verdict(cache)).toBe(-30);
    expect(verdict(cache, 29_000)).toBe(-1);
    expect(verdict(cache, 30_000)).toBe(0);
  });

  test("is known for the longest life of what proves it", () => {
    const cache = createCache();
    cache.store(nodataEntry(parent, Type.AAAA, 5));
    cache.store(addressEntry(parent, 30));
    expect(verdict(cache)).toBe(-30);
    expect(verdict(cache, 6000)).toBe(-24);
  });

  test("is not known from another type's answer", () => {
    const cache = createCache();
    cache.store(nodataEntry(parent, Type.TXT, 30));
    expect(verdict(cache)).toBe(0);
  });

  test("is denied after a newer denial, and exists again after newer data", () => {
    const cache = createCache();
    cache.store(addressEntry(parent, 30));
    cache.store(denialEntry(parent, Type.A, 5, 0, true));
    expect(verdict(cache)).toBe(5);
    cache.store(nodataEntry(parent, Type.AAAA, 30));
    expect(verdict(cache)).toBe(-30);
  });
});

test("counts nothing and keeps nothing in use", () => {
  const cache = createCache();
  cache.store(denialEntry(parent, Type.A, 5, 0, true));
  const before = { ...cache.counters };
  verdict(cache);
  expect(cache.counters).toEqual(before);
});
