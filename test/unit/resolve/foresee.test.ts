import { describe, expect, test } from "vitest";
import { createAnswerCache } from "../../../src/cache/answer-cache.ts";
import { createFailureMemory } from "../../../src/cache/failure-memory.ts";
import { createForesight, type Foresight } from "../../../src/resolve/foresee.ts";
import { createLoopGuard } from "../../../src/resolve/loop-guard.ts";
import { createResolver } from "../../../src/resolve/resolver.ts";
import { createSharedQuestions } from "../../../src/resolve/share-in-flight.ts";
import { createAbsences } from "../../../src/search/absences.ts";
import { laterSteps } from "../../../src/search/outside-name.ts";
import { createSearchScope } from "../../../src/search/search-scope.ts";
import { createZoneKnowledge } from "../../../src/search/zone-knowledge.ts";
import type { ExchangeResult } from "../../../src/upstream/exchange.ts";
import { createQueryView, readQuery } from "../../../src/wire/query.ts";
import { composeQuery, type Question } from "../../../src/wire/question.ts";
import { parseReply } from "../../../src/wire/reply.ts";
import { createFakeClock } from "../../support/program/fake-clock.ts";
import {
  a,
  aaaa,
  buildQuery,
  nameBytes,
  readMessage,
  replyTo,
  soa,
  type TestMessage,
  Type,
} from "../../support/messages/messages.ts";

const hashSeed = 7;
const zone = nameBytes("cluster.local");
const nxdomain = 3;
const zoneDenial = { rcode: nxdomain, authorities: [soa("cluster.local")] };
const isTopLevelDomain = (label: string) => label === "com";

/** The parts of a nodens that has seen the zone's schema, the onlooker, and a resolver over the same parts. */
function createParts(
  settings: { maxInFlight?: number; answersOutsideNames?: boolean; answersSizeBytes?: number } = {},
) {
  const clock = createFakeClock();
  const cache = createAnswerCache({
    answersSizeBytes: settings.answersSizeBytes ?? 1e6,
    denialsSizeBytes: 1e6,
    staleSeconds: 3600,
  });
  const knowledge = createZoneKnowledge({ checkOneIn: 0 });
  knowledge.noteSchema(true);
  knowledge.noteSoa({ octets: zone, ttlOffset: 0, denialTtlSeconds: 3600 }, clock.nowMs());
  const waits = { maxWaiters: 100, maxWaitersPerQuestion: 100, maxWaitersPerClient: 100 };
  const asked: { text: string; question: Question; settle: (result: ExchangeResult) => void }[] = [];
  const parts = {
    cache,
    failures: createFailureMemory({ firstTtlSeconds: 1, maxTtlSeconds: 5 }),
    shared: createSharedQuestions({ maxInFlight: settings.maxInFlight ?? 100, ...waits }),
    loopGuard: createLoopGuard("5ec2e7"),
    scope: createSearchScope([zone]),
    limits: {
      maxTtlSeconds: 86_400,
      maxDenialTtlSeconds: 1800,
      maxClusterDenialTtlSeconds: 5,
      staleAfterMs: 1800,
      prefetches: false,
      sharesDenials: true,
      answersOutsideNames: settings.answersOutsideNames ?? false,
    },
    absences: createAbsences(
      zone,
      { shortCircuit: "learned", exemptions: [], isMulticluster: false, maxDenialTtlSeconds: 5 },
      knowledge,
      cache.addressVerdict,
      isTopLevelDomain,
    ),
    laterSteps: (name: Uint8Array) => laterSteps(name, zone, [], isTopLevelDomain),
  };
  const resolver = createResolver({
    ...parts,
    clock,
    zone,
    knowledge,
    ask: (question) =>
      new Promise((settle) => {
        const [first] = readMessage(composeQuery(question)).questions;
        asked.push({ text: `${first?.name} ${first?.type}`, question, settle });
      }),
    learnZone: () => Promise.resolve(),
    onRuleOff: () => {},
  });
  const foresight = createForesight({
    ...parts,
    hashSeed,
    routeOf: (name) => ({ route: name.length > 15 ? "long" : "short", transport: "udp" }),
  });
  const foresee = (name: string, ...types: number[]): Foresight[] => foresight(nameBytes(name), types, clock.nowMs());

  /** A client asks; what upstream was asked in consequence is returned. */
  async function ask(name: string, type: number): Promise<string[]> {
    const before = asked.length;
    const packet = buildQuery(name, type);
    const query = createQueryView(hashSeed);
    readQuery(packet, packet.length, query);
    const isKnown = resolver.lookup(query, clock.nowMs()) ?? resolver.deny(query, clock.nowMs());
    if (isKnown === undefined) void resolver.resolve(query, "10.0.0.1");
    await clock.advance(0);
    return asked.slice(before).map(({ text }) => text);
  }

  async function settle(result: (TestMessage & { rcode?: number }) | "timeout"): Promise<void> {
    for (const { question, settle } of asked.splice(0)) {
      const reply = result === "timeout" ? undefined : parseReply(replyTo(composeQuery(question), result));
      settle(typeof reply === "object" ? { reply } : { failure: "timeout" });
    }
    await clock.advance(0);
  }

  return { clock, cache, foresee, ask, settle, loopGuard: parts.loopGuard, resolver };
}

const forwarded = { kind: "forwarded", route: "short", transport: "udp" };

describe("what nobody knows yet", () => {
  test("an outside name is forwarded, A and AAAA alike", () => {
    expect(createParts().foresee("example.com", Type.A, Type.AAAA)).toEqual([forwarded, forwarded]);
  });

  test("under the cluster zone AAAA waits for the A before it", () => {
    expect(createParts().foresee("web.default.svc.cluster.local", Type.A, Type.AAAA)).toEqual([
      { kind: "forwarded", route: "long", transport: "udp" },
      { kind: "waits", forType: "A" },
    ]);
  });

  test("AAAA alone waits for nobody", () => {
    expect(createParts().foresee("web.default.svc.cluster.local", Type.AAAA)).toMatchObject([{ kind: "forwarded" }]);
  });

  test("the parent of what looks like an outside name is asked in its place", () => {
    expect(createParts().foresee("example.com.svc.cluster.local", Type.A, Type.AAAA)).toEqual([
      { kind: "asksParent", parent: "com.svc.cluster.local", isOnItsWay: false, route: "long", transport: "udp" },
      { kind: "waits", forType: "A" },
    ]);
  });

  test("what a cluster zone cannot hold is denied", () => {
    expect(createParts().foresee("example.com.cluster.local", Type.A, Type.AAAA, Type.TXT)).toMatchObject([
      { kind: "denied", rule: "schema", ttlSeconds: 5 },
      { kind: "denied", rule: "schema", ttlSeconds: 5 },
      { kind: "forwarded" },
    ]);
  });

  test("a transfer is refused", () => {
    expect(createParts().foresee("example.com", Type.AXFR)).toEqual([{ kind: "refused" }]);
  });
});

describe("what is on its way", () => {
  test("the same question is shared, and the other type of a cluster name waits", async () => {
    const { ask, foresee } = createParts();
    await ask("web.default.svc.cluster.local", Type.AAAA);
    expect(foresee("web.default.svc.cluster.local", Type.A, Type.AAAA)).toEqual([
      { kind: "waits", forType: "AAAA" },
      { kind: "shared" },
    ]);
  });

  test("a parent that was asked for another name is awaited", async () => {
    const { ask, foresee } = createParts();
    expect(await ask("example.com.svc.cluster.local", Type.A)).toEqual([`com.svc.cluster.local ${Type.A}`]);
    expect(foresee("other.com.svc.cluster.local", Type.A)).toMatchObject([{ kind: "asksParent", isOnItsWay: true }]);
  });

  test("with every place taken a question is shed", async () => {
    const { ask, foresee } = createParts({ maxInFlight: 1 });
    await ask("example.com", Type.A);
    expect(foresee("example.org", Type.A)).toEqual([{ kind: "shed", hasStale: false }]);
  });
});

describe("what is known", () => {
  test("an answer, with the seconds that it has left", async () => {
    const { ask, settle, foresee, clock } = createParts();
    await ask("example.com", Type.A);
    await settle({ answers: [a("example.com", "192.0.2.1", 30)] });
    await clock.advance(10_000);
    expect(foresee("example.com", Type.A)).toEqual([{ kind: "cached", verdict: "data", ttlSeconds: 20 }]);
  });

  test("NODATA is told from NXDOMAIN", async () => {
    const { ask, settle, foresee } = createParts();
    await ask("example.com", Type.AAAA);
    await settle({ authorities: [soa("example.com")] });
    await ask("nothing.example.com", Type.AAAA);
    await settle({ rcode: nxdomain, authorities: [soa("example.com")] });
    expect(foresee("example.com", Type.AAAA)).toMatchObject([{ verdict: "noData" }]);
    expect(foresee("nothing.example.com", Type.AAAA, Type.A)).toMatchObject([
      { verdict: "denied" },
      { kind: "forwarded" },
    ]);
  });

  test("a denied cluster name is denied for both types, and a denied parent for what is below it", async () => {
    const { ask, settle, foresee } = createParts();
    await ask("example.com.svc.cluster.local", Type.A);
    await settle(zoneDenial);
    expect(foresee("com.svc.cluster.local", Type.A, Type.AAAA)).toMatchObject([
      { kind: "cached", verdict: "denied" },
      { kind: "cached", verdict: "denied" },
    ]);
    expect(foresee("other.com.svc.cluster.local", Type.AAAA)).toEqual([
      { kind: "denied", rule: "learned", ttlSeconds: 5 },
    ]);
  });

  test("a failure of a moment ago, with and without a stale answer", async () => {
    const { ask, settle, foresee, clock } = createParts();
    await ask("example.com", Type.A);
    await settle({ answers: [a("example.com", "192.0.2.1", 1)] });
    await clock.advance(1000);
    for (const name of ["example.com", "example.org"]) {
      await ask(name, Type.A);
      await settle("timeout");
      expect(foresee(name, Type.A)).toEqual([{ kind: "failed", hasStale: name === "example.com" }]);
    }
  });

  test("a loop", () => {
    const { foresee, loopGuard } = createParts();
    loopGuard.startRound();
    loopGuard.startRound();
    loopGuard.isOwnProbe(loopGuard.probeFor(zone));
    expect(foresee("example.com", Type.A)).toEqual([{ kind: "looping" }]);
  });
});

test("with answers for outside names on, a suffix query whose steps are all denied gets the name behind it", async () => {
  const { ask, settle, foresee } = createParts({ answersOutsideNames: true });
  const name = "www.example.com.default.svc.cluster.local";
  await ask("www.example.com.svc.cluster.local", Type.A);
  await settle(zoneDenial);
  expect(foresee(name, Type.A)).toEqual([{ kind: "outsideName", outside: "www.example.com", isCached: false }]);
  await ask("www.example.com", Type.A);
  await settle({ answers: [a("www.example.com", "192.0.2.1")] });
  expect(foresee(name, Type.A, Type.AAAA)).toEqual([
    { kind: "outsideName", outside: "www.example.com", isCached: true },
    { kind: "outsideName", outside: "www.example.com", isCached: false },
  ]);
});

describe("an onlooker", () => {
  test("leaves every counter as it was, and asks nobody", async () => {
    const { ask, settle, foresee, cache, resolver } = createParts();
    await ask("example.com", Type.AAAA);
    await settle({ answers: [aaaa("example.com", 1)] });
    const before = structuredClone([cache.counters, resolver.counters]);
    for (const name of ["example.com", "example.com.cluster.local", "example.com.svc.cluster.local", "a.b"])
      foresee(name, Type.A, Type.AAAA);
    expect([cache.counters, resolver.counters]).toEqual(before);
    await settle("timeout");
    expect(foresee("a.b", Type.A)).toEqual([forwarded]);
  });

  test("does not save an entry from eviction by looking at it", async () => {
    const { ask, settle, foresee } = createParts({ answersSizeBytes: 1000 });
    for (const name of ["a.test", "b.test", "c.test"]) {
      foresee("a.test", Type.A);
      await ask(name, Type.A);
      await settle({ answers: [a(name, "192.0.2.1")] });
    }
    const kinds = ["a.test", "b.test", "c.test"].map((name) => foresee(name, Type.A)[0]?.kind);
    expect(kinds).toEqual(["forwarded", "cached", "cached"]);
  });

  test.each([
    ["example.com", Type.A],
    ["example.com.cluster.local", Type.A],
    ["example.com.svc.cluster.local", Type.AAAA],
    ["web.default.svc.cluster.local", Type.A],
  ])("foresees for %s what the resolver then does", async (name, type) => {
    const { ask, foresee } = createParts();
    const [foresight] = foresee(name, type);
    const expected =
      foresight?.kind === "forwarded" ? [name] : foresight?.kind === "asksParent" ? [foresight.parent] : [];
    expect(await ask(name, type)).toEqual(expected.map((asked) => `${asked} ${type}`));
  });
});
