import { describe, expect, test } from "vitest";
import type { AnswerCache } from "../../../src/cache/answer-cache.ts";
import type { Answer } from "../../../src/resolve/answer.ts";
import type { ExchangeResult } from "../../../src/upstream/exchange-state.ts";
import { ExtendedError } from "../../../src/wire/codes.ts";
import { type Question, questionKey } from "../../../src/wire/question.ts";
import { a, soa, Type } from "../../support/messages/messages.ts";
import {
  contentOf,
  queryFor,
  queryOf,
  type QueryDetails,
  questionFor,
  type ReplySpec,
} from "../../support/messages/parsed-messages.ts";
import { createWorld, nxdomain, type WorldSettings } from "../../support/world/create-world.ts";

const name = "www.example";
const client = "10.0.0.1";
const question = questionFor(name, Type.A);
const servfail = 2;

/** A world whose resolver is asked without packets. */
function createChain(settings: WorldSettings = {}) {
  const world = createWorld(settings);
  /** Resolves a question that a client's query would ask. */
  function resolve(wanted: Question, asker: string): Answer | Promise<Answer> {
    const later = Promise.withResolvers<Answer>();
    const answer = world.resolver.resolve(queryOf(wanted), asker, later.resolve);
    return answer === "later" ? later.promise : answer;
  }
  return { ...world, resolve, answer: world.upstream.answers };
}

type Failure = Extract<ExchangeResult, { failure: unknown }>["failure"];
type Chain = ReturnType<typeof createChain>;

/** Resolves the question and answers it: the cache knows it then. */
async function learn(chain: Chain, ttl: number): Promise<void> {
  void chain.resolve(question, client);
  await chain.answer({ answers: [a(name, "192.0.2.1", ttl)] });
}

/** The answer, with what its entry says, wherever the entry is kept. */
function plain(answer: Answer | undefined) {
  return answer?.kind === "message" ? { ...answer, entry: contentOf(answer.entry) } : answer;
}

function find(cache: AnswerCache, nowMs: number, details?: QueryDetails) {
  return cache.find(queryFor(name, Type.A, details), nowMs);
}

describe("refuse", () => {
  test.each([
    ["a name of class IN", queryFor(name, Type.A), undefined],
    ["ANY", queryFor(name, Type.ANY), undefined],
    ["an unknown type", queryFor(name, 65_280), undefined],
    ["class CH", queryFor("version.bind", Type.TXT, { class: 3 }), 5],
    ["class ANY", queryFor(name, Type.A, { class: 255 }), 5],
    ["AXFR", queryFor(name, Type.AXFR), 5],
    ["IXFR", queryFor(name, Type.IXFR), 5],
    ["TSIG", queryFor(name, Type.TSIG), 5],
    ["TKEY", queryFor(name, Type.TKEY), 5],
    ["type 0", queryFor(name, 0), 5],
  ])("%s", (_, query, rcode) => {
    expect(createChain().resolver.refuse(query)).toBe(rcode);
  });
});

describe("lookup", () => {
  test("finds what is fresh, counts its hits, and asks nothing", async () => {
    const chain = createChain();
    await learn(chain, 300);
    const entry = chain.resolver.lookup(queryFor(name, Type.A), chain.clock.nowMs());
    chain.resolver.lookup(queryFor(name, Type.A), chain.clock.nowMs());
    expect(entry).toMatchObject({ kind: "answer", hits: 2 });
    expect(chain.asked).toHaveLength(1);
  });

  test("finds nothing stale: the resolver has to ask first", async () => {
    const chain = createChain();
    await learn(chain, 5);
    await chain.clock.advance(5000);
    expect(chain.resolver.lookup(queryFor(name, Type.A), chain.clock.nowMs())).toBeUndefined();
  });

  test("fetches a popular entry again in the last tenth of its life, with the same question", async () => {
    const chain = createChain();
    await learn(chain, 100);
    await chain.clock.advance(90_000);
    for (let hit = 0; hit < 5; hit += 1) chain.resolver.lookup(queryFor(name, Type.A), chain.clock.nowMs());
    expect(chain.asked).toEqual([`${name} A`, `${name} A`]);
    expect(chain.resolver.counters.prefetches).toBe(1);
  });

  test("does not prefetch what failed a moment ago", async () => {
    const chain = createChain();
    await learn(chain, 100);
    await chain.clock.advance(90_000);
    chain.failures.remember(questionKey(question), servfail, 0, chain.clock.nowMs());
    for (let hit = 0; hit < 3; hit += 1) chain.resolver.lookup(queryFor(name, Type.A), chain.clock.nowMs());
    expect(chain.asked).toHaveLength(1);
  });
});

describe("the order of the steps", () => {
  test("a loop comes first: not even a remembered failure is looked up", async () => {
    const chain = createChain();
    chain.failures.remember(questionKey(question), 4, 0, chain.clock.nowMs());
    chain.loopGuard.startRound();
    chain.loopGuard.isOwnProbe(chain.loopGuard.probeFor(Uint8Array.of(0)));
    expect(chain.resolve(question, client)).toEqual({
      kind: "error",
      rcode: servfail,
      extendedError: ExtendedError.noReachableAuthority,
    });
    expect(chain.asked).toHaveLength(0);
  });

  test("a remembered failure comes before joining: it takes no place in the queue", async () => {
    const chain = createChain();
    void chain.resolve(question, client);
    chain.failures.remember(questionKey(question), servfail, 0, chain.clock.nowMs());
    expect(chain.resolve(question, client)).toEqual({
      kind: "error",
      rcode: servfail,
      extendedError: ExtendedError.cachedError,
    });
    expect(chain.shared.waiterCount()).toBe(1);
  });

  test("joining comes before asking, even if there is no room for another question", () => {
    const chain = createChain({ maxInFlight: 1 });
    void chain.resolve(question, client);
    expect(chain.resolve(question, "10.0.0.2")).toBeInstanceOf(Promise);
    expect(chain.asked).toHaveLength(1);
    expect(chain.resolver.counters.coalesced).toBe(1);
  });
});

describe("answers", () => {
  test("are stored and given as they are", async () => {
    const chain = createChain();
    const waiting = chain.resolve(question, client);
    await chain.answer({ answers: [a(name, "192.0.2.1", 300)] });
    const answer = await waiting;
    expect(answer).toMatchObject({
      kind: "message",
      fixedTtlSeconds: 0,
      extendedError: ExtendedError.none,
      source: "upstream",
    });
    expect(plain(answer)).toMatchObject({ entry: contentOf(find(chain.cache, chain.clock.nowMs())) });
  });

  test("that are not stored are given all the same, and counted", async () => {
    const chain = createChain();
    const waiting = chain.resolve(question, client);
    await chain.answer({ rcode: nxdomain, authorities: [soa("example", 0, 0)] });
    expect(await waiting).toMatchObject({ kind: "message", source: "upstream", entry: { kind: "denial" } });
    expect(chain.resolver.counters.unkeptReplies).toBe(1);
    expect(find(chain.cache, chain.clock.nowMs())).toBeUndefined();
  });

  test.each<[Failure, number]>([
    ["timeout", ExtendedError.noReachableAuthority],
    ["refused", ExtendedError.networkError],
    ["unreachable", ExtendedError.networkError],
    ["closed", ExtendedError.networkError],
    ["exhausted", ExtendedError.networkError],
    ["forgery", ExtendedError.networkError],
  ])("%s is SERVFAIL with extended error %i", async (failure, extendedError) => {
    const chain = createChain();
    const waiting = chain.resolve(question, client);
    await chain.upstream.fails(failure);
    expect(await waiting).toEqual({ kind: "error", rcode: servfail, extendedError });
  });

  test("leave nobody waiting and nothing in flight, whatever came", async () => {
    const chain = createChain();
    const specs: ReplySpec[] = [
      { answers: [a(name, "192.0.2.1", 0)] },
      { rcode: nxdomain },
      { rcode: 2 },
      { flags: 0x0200 },
    ];
    for (const spec of specs) {
      void chain.resolve(question, client);
      expect([chain.shared.inFlightCount(), chain.shared.waiterCount()]).toEqual([1, 1]);
      await chain.answer(spec);
      await chain.clock.advance(10_000);
      expect([chain.shared.inFlightCount(), chain.shared.waiterCount()]).toEqual([0, 0]);
    }
    expect(chain.clock.pendingTimers()).toBe(0);
  });
});

describe("a stale answer", () => {
  /** The cache knows the name, expired since a second, and a client asks. */
  async function staleChain(limits: WorldSettings = {}) {
    const chain = createChain(limits);
    await learn(chain, 5);
    await chain.clock.advance(6000);
    return chain;
  }

  function staleOf(chain: Chain): Answer {
    const entry = chain.cache.findStale(question, chain.clock.nowMs());
    if (entry === undefined) throw new Error("nothing stale is held");
    return { kind: "message", entry, fixedTtlSeconds: 30, extendedError: ExtendedError.staleAnswer, source: "stale" };
  }

  test("comes after staleAfterMs; the question stays in flight until upstream has answered", async () => {
    const chain = await staleChain({ staleAfterMs: 700 });
    let given: Answer | undefined;
    void Promise.resolve(chain.resolve(question, client)).then((answer) => (given = answer));
    await chain.clock.advance(699);
    expect(given).toBeUndefined();
    await chain.clock.advance(1);
    expect(plain(given)).toEqual(plain(staleOf(chain)));
    expect([chain.shared.inFlightCount(), chain.shared.waiterCount()]).toEqual([1, 0]);
    await chain.answer({ answers: [a(name, "192.0.2.2", 300)] });
    expect(chain.shared.inFlightCount()).toBe(0);
    expect(find(chain.cache, chain.clock.nowMs())).toMatchObject({ kind: "answer" });
  });

  test("comes at once when upstream fails, and upstream is left alone for 30 s", async () => {
    const chain = await staleChain();
    const waiting = chain.resolve(question, client);
    await chain.answer({ rcode: servfail });
    expect(plain(await waiting)).toEqual(plain(staleOf(chain)));
    await chain.clock.advance(29_999);
    expect(plain(await chain.resolve(question, client))).toEqual(plain(staleOf(chain)));
    expect(chain.asked).toHaveLength(2);
    await chain.clock.advance(1);
    void chain.resolve(question, client);
    expect(chain.asked).toHaveLength(3);
  });

  test.each([
    ["inflight", { maxInFlight: 0 }],
    ["waiters", { maxWaiters: 0 }],
    ["client", { maxWaitersPerClient: 0 }],
  ] as const)("comes at once under a bound (%s, %o)", async (reason, bound) => {
    const chain = await staleChain();
    const bounded = createChain(bound);
    // Without anything held the same bound means silence.
    expect(await bounded.resolve(question, client)).toEqual({ kind: "dropped", reason });
    expect(bounded.shed(reason)).toBe(1);
    bounded.cache.store((staleOf(chain) as Extract<Answer, { kind: "message" }>).entry);
    expect(await bounded.resolve(question, client)).toMatchObject({ kind: "message", source: "stale" });
  });

  test("is not for a question without RD", async () => {
    const chain = await staleChain();
    const withoutRd = questionFor(name, Type.A, { recursionDesired: false });
    const waiting = chain.resolve(withoutRd, client);
    await chain.clock.advance(5000);
    await chain.answer({ rcode: servfail });
    expect(await waiting).toMatchObject({ kind: "error", rcode: servfail });
    expect(await chain.resolve(withoutRd, client)).toMatchObject({ kind: "error", rcode: servfail });
  });
});

describe("longest lives", () => {
  test("bound an answer", async () => {
    const chain = createChain({ maxTtlSeconds: 60 });
    await learn(chain, 300);
    const nowMs = chain.clock.nowMs();
    expect(find(chain.cache, nowMs + 59_999)).toBeDefined();
    expect(find(chain.cache, nowMs + 60_000)).toBeUndefined();
  });

  test("bound a denial by one of its own", async () => {
    const chain = createChain({ maxDenialTtlSeconds: 7 });
    void chain.resolve(question, client);
    await chain.answer({ rcode: nxdomain, authorities: [soa("example", 300, 300)] });
    const nowMs = chain.clock.nowMs();
    expect(find(chain.cache, nowMs + 6999)).toBeDefined();
    expect(find(chain.cache, nowMs + 7000)).toBeUndefined();
  });
});
