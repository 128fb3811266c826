/*
 * What people are shown of the cache, and what they have it forget.
 */
import { describe, expect, test } from "vitest";
import { flushCache, printCacheView, printFlushed, showCache } from "../../src/explain/cache-page.ts";
import { a } from "../support/messages/messages.ts";
import { createWorld, denial, learn, nodata, type World } from "../support/world/create-world.ts";

const web = "web.shop.svc.cluster.local";
const answerFor = (name: string) => ({ answers: [a(name, "10.96.1.1", 30)] });

/** What the pages look at, of a world whose stale answers live for a minute. */
function partsOf(world: World) {
  return { ...world, staleSeconds: () => 60, sourceOf: () => "cluster 10.96.0.10:53 tcp", nowMs: world.clock.nowMs };
}

function show(world: World, query: string) {
  const shown = showCache(new URLSearchParams(query), partsOf(world));
  if ("wrong" in shown) throw new Error(shown.wrong);
  return shown.view;
}

function flush(world: World, query: string) {
  const done = flushCache(new URLSearchParams(query), partsOf(world));
  if ("wrong" in done) throw new Error(done.wrong);
  return done.flushed;
}

async function createWarmWorld(): Promise<World> {
  const world = createWorld({ staleSeconds: 60 });
  await learn(world, web, "A", answerFor(web));
  await learn(world, web, "AAAA", nodata);
  return world;
}

describe("show", () => {
  test("tells data with its records, what is left of their life, how often it was used, and where it came from", async () => {
    const world = await createWarmWorld();
    await world.passes(10);
    for (let turn = 0; turn < 3; turn += 1) await world.asks(web);
    expect(show(world, `name=${web}&type=a`).kept).toEqual([
      {
        type: "A",
        kind: "data",
        state: "fresh",
        ttlSeconds: 20,
        overSeconds: 0,
        storedSecondsAgo: 10,
        hits: 3,
        dnssecOk: false,
        checkingDisabled: false,
        source: "cluster 10.96.0.10:53 tcp",
        rcode: "",
        records: [{ name: `${web}.`, ttlSeconds: 20, type: "A", data: "10.96.1.1" }],
      },
    ]);
  });

  test("tells that a name has no such records, and how long that holds", async () => {
    const world = await createWarmWorld();
    expect(show(world, `name=${web}&type=AAAA`).kept).toMatchObject([
      { type: "AAAA", kind: "noData", state: "fresh", ttlSeconds: 5 },
    ]);
  });

  test("tells what may be given as stale, and what is over for good", async () => {
    const world = await createWarmWorld();
    await world.passes(40);
    expect(show(world, `name=${web}&type=A`).kept).toMatchObject([{ state: "stale", ttlSeconds: 0, overSeconds: 10 }]);
    await world.passes(60);
    expect(show(world, `name=${web}&type=A`).kept).toMatchObject([{ state: "expired", overSeconds: 70 }]);
  });

  test("tells a denial of a whole name for both types, and what would be done with queries for it", async () => {
    const world = createWorld();
    await learn(world, "gone.shop.svc.cluster.local", "A", denial);
    const view = show(world, "name=GONE.shop.svc.cluster.local.");
    expect(view.kept).toMatchObject([{ type: "A and AAAA", kind: "denied", ttlSeconds: 5 }]);
    expect(view.now).toEqual([
      { type: "A", foreseen: "from the cache: no such name, 5 s left" },
      { type: "AAAA", foreseen: "from the cache: no such name, 5 s left" },
    ]);
  });

  test("tells a question that failed a moment ago, for as long as that holds", async () => {
    const world = createWorld();
    await world.asks(web);
    await world.upstream.fails();
    expect(show(world, `name=${web}`).kept).toMatchObject([{ type: "A", kind: "failure", rcode: "SERVFAIL" }]);
    await world.passes(60);
    expect(show(world, `name=${web}`).kept).toEqual([]);
  });

  test("counts, stores and asks nothing", async () => {
    const world = await createWarmWorld();
    const [counters, asked] = [{ ...world.cache.counters }, world.asked.length];
    show(world, `name=${web}`);
    expect([world.cache.counters, world.asked.length]).toEqual([counters, asked]);
  });

  test("says so where nothing is kept", async () => {
    const world = createWorld();
    expect(printCacheView(show(world, `name=${web}`))).toMatch(/^nothing is kept of web\.shop.*\nasked now, A: asked/);
  });

  test("is readable as text", async () => {
    const world = await createWarmWorld();
    expect(printCacheView(show(world, `name=${web}&type=A`))).toBe(
      [
        `${web} A: data, 30 s left, stored 0 s ago, used 0 times, from cluster 10.96.0.10:53 tcp`,
        `    ${web}. 30 A 10.96.1.1`,
        "asked now, A: from the cache: answer, 30 s left",
        "",
      ].join("\n"),
    );
  });

  test.each(["", "name=a..b", "name=a.test&type=NOTHING"])("refuses %j", (query) => {
    expect(showCache(new URLSearchParams(query), partsOf(createWorld()))).toHaveProperty("wrong");
  });

  test("says of a name in other letters which name to ask for", () => {
    const wrong = "'bücher.test' is not ASCII: ask for xn--bcher-kva.test";
    expect(showCache(new URLSearchParams("name=bücher.test"), partsOf(createWorld()))).toEqual({ wrong });
  });
});

describe("flush", () => {
  test("has a name asked for again, whatever the type, and leaves others alone", async () => {
    const world = await createWarmWorld();
    await learn(world, "other.shop.svc.cluster.local", "A", answerFor("other.shop.svc.cluster.local"));
    expect(flush(world, `name=${web}`)).toEqual({ name: web, below: false, entries: 2, failures: 0 });
    expect((await world.asks(web)).isWaiting()).toBe(true);
    expect((await world.asks("other.shop.svc.cluster.local")).isCached()).toBe(true);
  });

  test("forgets what may be given as stale, too", async () => {
    const world = await createWarmWorld();
    await world.passes(40);
    flush(world, `name=${web}`);
    const asked = await world.asks(web);
    await world.upstream.fails();
    expect(asked.rcode()).toBe(2);
  });

  test("forgets a failure: the name may be asked for at once", async () => {
    const world = createWorld();
    await world.asks(web);
    await world.upstream.fails();
    expect(flush(world, `name=${web}`).failures).toBe(1);
    expect((await world.asks(web)).isWaiting()).toBe(true);
  });

  test("with `below` forgets the names below it, and only those", async () => {
    const world = await createWarmWorld();
    await learn(world, "web.myshop.svc.cluster.local", "A", answerFor("web.myshop.svc.cluster.local"));
    expect(flush(world, "name=shop.svc.cluster.local")).toMatchObject({ entries: 0 });
    expect(flush(world, "name=shop.svc.cluster.local&below")).toMatchObject({ entries: 2 });
    expect((await world.asks("web.myshop.svc.cluster.local")).isCached()).toBe(true);
  });

  test("says what was forgotten, and that nothing was", async () => {
    const world = await createWarmWorld();
    expect(printFlushed(flush(world, `name=${web}`))).toBe(`forgotten of ${web}: 2 entries, 0 failures\n`);
    expect(printFlushed(flush(world, `name=${web}&below`))).toBe(`nothing was kept of ${web} and names below it\n`);
  });
});
