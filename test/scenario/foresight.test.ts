import { describe, expect, test } from "vitest";
import { a, aaaa, nameBytes, soa } from "../support/messages/messages.ts";
import {
  createWorld,
  nxdomain,
  type UpstreamReply,
  type World,
  type WorldSettings,
} from "../support/world/create-world.ts";

const zoneDenial: UpstreamReply = { rcode: nxdomain, authorities: [soa("cluster.local")] };

/** A world whose zone has shown its schema. */
function createSearchWorld(settings: WorldSettings = {}): World {
  return createWorld({ showsSchema: true, prefetches: false, ...settings });
}

const forwarded = { kind: "forwarded", route: "short", transport: "udp" };

describe("what nobody knows yet", () => {
  test("an outside name is forwarded, A and AAAA alike", () => {
    expect(createSearchWorld().foresees("example.com", "A", "AAAA")).toEqual([forwarded, forwarded]);
  });

  test("under the cluster zone AAAA waits for the A before it", () => {
    expect(createSearchWorld().foresees("web.default.svc.cluster.local", "A", "AAAA")).toEqual([
      { kind: "forwarded", route: "long", transport: "udp" },
      { kind: "waits", forType: "A" },
    ]);
  });

  test("AAAA alone waits for nobody", () => {
    expect(createSearchWorld().foresees("web.default.svc.cluster.local", "AAAA")).toMatchObject([
      { kind: "forwarded" },
    ]);
  });

  test("the parent of what looks like an outside name is asked in its place", () => {
    expect(createSearchWorld().foresees("example.com.svc.cluster.local", "A", "AAAA")).toEqual([
      { kind: "asksParent", parent: "com.svc.cluster.local", isOnItsWay: false, route: "long", transport: "udp" },
      { kind: "waits", forType: "A" },
    ]);
  });

  test("what a cluster zone cannot hold is denied", () => {
    expect(createSearchWorld().foresees("example.com.cluster.local", "A", "AAAA", "TXT")).toMatchObject([
      { kind: "denied", rule: "absentBySchema", ttlSeconds: 5 },
      { kind: "denied", rule: "absentBySchema", ttlSeconds: 5 },
      { kind: "forwarded" },
    ]);
  });

  test("a transfer is refused", () => {
    expect(createSearchWorld().foresees("example.com", "AXFR")).toEqual([{ kind: "refused" }]);
  });
});

describe("what is on its way", () => {
  test("the same question is shared, and the other type of a cluster name waits", async () => {
    const { asks, foresees } = createSearchWorld();
    await asks("web.default.svc.cluster.local", "AAAA");
    expect(foresees("web.default.svc.cluster.local", "A", "AAAA")).toEqual([
      { kind: "waits", forType: "AAAA" },
      { kind: "shared" },
    ]);
  });

  test("a parent that was asked for another name is awaited", async () => {
    const { asks, asked, foresees } = createSearchWorld();
    await asks("example.com.svc.cluster.local", "A");
    expect(asked).toEqual(["com.svc.cluster.local A"]);
    expect(foresees("other.com.svc.cluster.local", "A")).toMatchObject([{ kind: "asksParent", isOnItsWay: true }]);
  });

  test("with every place taken a question is shed", async () => {
    const { asks, foresees } = createSearchWorld({ maxInFlight: 1 });
    await asks("example.com", "A");
    expect(foresees("example.org", "A")).toEqual([{ kind: "shed" }]);
  });
});

describe("what is known", () => {
  test("an answer, with the seconds that it has left", async () => {
    const { asks, upstream, foresees, clock } = createSearchWorld();
    await asks("example.com", "A");
    await upstream.settlesAll({ answers: [a("example.com", "192.0.2.1", 30)] });
    await clock.advance(10_000);
    expect(foresees("example.com", "A")).toEqual([{ kind: "cached", verdict: "data", ttlSeconds: 20 }]);
  });

  test("NODATA is told from NXDOMAIN", async () => {
    const { asks, upstream, foresees } = createSearchWorld();
    await asks("example.com", "AAAA");
    await upstream.settlesAll({ authorities: [soa("example.com")] });
    await asks("nothing.example.com", "AAAA");
    await upstream.settlesAll({ rcode: nxdomain, authorities: [soa("example.com")] });
    expect(foresees("example.com", "AAAA")).toMatchObject([{ verdict: "noData" }]);
    expect(foresees("nothing.example.com", "AAAA", "A")).toMatchObject([{ verdict: "denied" }, { kind: "forwarded" }]);
  });

  test("a denied cluster name is denied for both types, and a denied parent for what is below it", async () => {
    const { asks, upstream, foresees } = createSearchWorld();
    await asks("example.com.svc.cluster.local", "A");
    await upstream.settlesAll(zoneDenial);
    expect(foresees("com.svc.cluster.local", "A", "AAAA")).toMatchObject([
      { kind: "cached", verdict: "denied" },
      { kind: "cached", verdict: "denied" },
    ]);
    expect(foresees("other.com.svc.cluster.local", "AAAA")).toEqual([
      { kind: "denied", rule: "absentParent", ttlSeconds: 5 },
    ]);
  });

  test("a failure of a moment ago, with and without a stale answer", async () => {
    const { asks, upstream, foresees, clock } = createSearchWorld();
    await asks("example.com", "A");
    await upstream.settlesAll({ answers: [a("example.com", "192.0.2.1", 1)] });
    await clock.advance(1000);
    for (const name of ["example.com", "example.org"]) {
      await asks(name, "A");
      await upstream.settlesAll("timeout");
      expect(foresees(name, "A")).toEqual([{ kind: "failed", stale: name === "example.com" ? "data" : undefined }]);
    }
  });

  test("a loop", () => {
    const { foresees, loopGuard } = createSearchWorld();
    loopGuard.startRound();
    loopGuard.startRound();
    loopGuard.isOwnProbe(loopGuard.probeFor(nameBytes("cluster.local")));
    expect(foresees("example.com", "A")).toEqual([{ kind: "looping" }]);
  });
});

test("with answers for outside names on, a suffix query whose steps are all denied gets the name behind it", async () => {
  const { asks, upstream, foresees } = createSearchWorld({ answersOutsideNames: true });
  const name = "www.example.com.default.svc.cluster.local";
  await asks("www.example.com.svc.cluster.local", "A");
  await upstream.settlesAll(zoneDenial);
  expect(foresees(name, "A")).toEqual([{ kind: "outsideName", outside: "www.example.com", isCached: false }]);
  await asks("www.example.com", "A");
  await upstream.settlesAll({ answers: [a("www.example.com", "192.0.2.1")] });
  expect(foresees(name, "A", "AAAA")).toEqual([
    { kind: "outsideName", outside: "www.example.com", isCached: true },
    { kind: "outsideName", outside: "www.example.com", isCached: false },
  ]);
});

describe("an onlooker", () => {
  test("leaves every counter as it was, and asks nobody", async () => {
    const { asks, upstream, foresees, cache, resolver } = createSearchWorld();
    await asks("example.com", "AAAA");
    await upstream.settlesAll({ answers: [aaaa("example.com", 1)] });
    const before = structuredClone([cache.counters, resolver.counters]);
    for (const name of ["example.com", "example.com.cluster.local", "example.com.svc.cluster.local", "a.b"])
      foresees(name, "A", "AAAA");
    expect([cache.counters, resolver.counters]).toEqual(before);
    await upstream.settlesAll("timeout");
    expect(foresees("a.b", "A")).toEqual([forwarded]);
  });

  test("does not save an entry from eviction by looking at it", async () => {
    const { asks, upstream, foresees } = createSearchWorld({ answersSizeBytes: 300 });
    for (const name of ["a.test", "b.test", "c.test"]) {
      foresees("a.test", "A");
      await asks(name, "A");
      await upstream.settlesAll({ answers: [a(name, "192.0.2.1")] });
    }
    const kinds = ["a.test", "b.test", "c.test"].map((name) => foresees(name, "A")[0]?.kind);
    expect(kinds).toEqual(["forwarded", "cached", "cached"]);
  });
});
