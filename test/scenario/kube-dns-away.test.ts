/*
 * kube-dns answers nobody, and pods look for what is cached the way they always do: suffix by suffix, A and AAAA, musl's way, whose search
 * ends at SERVFAIL.
 */
import { describe, expect, test } from "vitest";
import { a, soa } from "../support/messages/messages.ts";
import {
  createWorld,
  learn,
  nxdomain,
  type UpstreamReply,
  type World,
  type WorldSettings,
} from "../support/world/create-world.ts";

const absent: UpstreamReply = { rcode: nxdomain, authorities: [soa("cluster.local", 5, 5)] };
const noData: UpstreamReply = { authorities: [soa("cluster.local", 5, 5)] };
const servfail = 2;
const searchList = ["apps.svc.cluster.local", "svc.cluster.local", "cluster.local"];

/** What upstream has: one Service and one outside name, with addresses of one family that live for 5 s. */
function kubeDns(text: string): UpstreamReply {
  const [name = "", type] = text.split(" ");
  if (name !== "web.shop.svc.cluster.local" && name !== "example.com")
    return name === "shop.svc.cluster.local" ? noData : absent;
  return type === "A" ? { answers: [a(name, "192.0.2.1", 5)] } : noData;
}

/** A pod in the namespace `apps` looks a name up as musl does. While it waits, upstream does as `settles` says. */
async function lookup(
  world: World,
  name: string,
  settles: (world: World) => Promise<void>,
): Promise<"found" | "absent" | "failed"> {
  for (const candidate of [...searchList.map((suffix) => `${name}.${suffix}`), name]) {
    const pair = [await world.asks(candidate, "A"), await world.asks(candidate, "AAAA")];
    for (let turn = 0; turn < 4 && pair.some((asked) => asked.isWaiting()); turn += 1) await settles(world);
    if (pair.some((asked) => asked.isDropped() || asked.rcode() === servfail)) return "failed";
    if (pair.some((asked) => asked.hasData())) return "found";
  }
  return "absent";
}

const answers = (world: World) => world.upstream.settlesAll(kubeDns);
const isRefused = async (world: World) => {
  while (world.upstream.openCount() > 0) await world.upstream.fails("refused");
};

/** A world in which pods have looked these names up, a minute before kube-dns went away. */
async function expiredWorld(names: readonly string[], settings: WorldSettings = {}): Promise<World> {
  const world = createWorld({ showsSchema: true, ...settings });
  for (const name of names) await lookup(world, name, answers);
  await world.passes(60);
  return world;
}

describe("what is cached is found behind the suffixes that are denied", () => {
  test.each(["web.shop", "example.com"])("%s, by musl", async (name) => {
    const world = await expiredWorld([name]);
    expect(await lookup(world, name, isRefused)).toBe("found");
    await world.passes(7);
    expect(await lookup(world, name, isRefused)).toBe("found");
  });

  test("a Service, where no search rule is in use", async () => {
    const world = await expiredWorld(["web.shop"], { shortCircuit: "off" });
    expect(await lookup(world, "web.shop", isRefused)).toBe("found");
  });
});

describe("C13: a denial that is expired", () => {
  const denied = "web.shop.apps.svc.cluster.local";
  const asksDenied = async (world: World) => {
    const asked = await world.asks(denied, "A", { opt: {} });
    // The Service that would be above the name is asked for first.
    while (asked.isWaiting()) await world.upstream.fails("refused");
    return asked.reply();
  };

  test("is told with a TTL of 5 s and extended error 19", async () => {
    const reply = await asksDenied(await expiredWorld(["web.shop"]));
    expect(reply).toMatchObject({ rcode: nxdomain, authorities: [{ ttl: 5 }] });
    expect(reply.opts[0]?.options).toEqual([{ code: 15, data: Uint8Array.of(0, 19) }]);
  });

  test("of a parent is told likewise, and counted as a stale answer", async () => {
    const world = await expiredWorld(["example.com"]);
    const asked = await world.asks("example.com.svc.cluster.local", "A", { opt: {} });
    while (asked.isWaiting()) await world.upstream.fails("refused");
    expect(asked.reply()).toMatchObject({ rcode: nxdomain, authorities: [{ ttl: 5 }] });
    expect(asked.reply().opts[0]?.options).toEqual([{ code: 15, data: Uint8Array.of(0, 19) }]);
    expect(world.resolver.counters).toMatchObject({ staleAnswers: 1, staleAgeSeconds: 55 });
  });

  test("is SERVFAIL where nothing can be found behind it", async () => {
    const world = await expiredWorld(["nothing.shop"]);
    expect(await lookup(world, "nothing.shop", isRefused)).toBe("failed");
  });

  test("is SERVFAIL once what is behind it is too old to be given", async () => {
    const world = await expiredWorld(["web.shop"], { staleSeconds: 50 });
    expect((await asksDenied(world)).rcode).toBe(servfail);
  });

  test("of one address type is not told where the name has an address of the other", async () => {
    const world = createWorld({ showsNameDenials: false });
    await learn(world, "web.shop.svc.cluster.local", "A", {
      answers: [a("web.shop.svc.cluster.local", "192.0.2.1", 5)],
    });
    await learn(world, denied, "A", { answers: [a(denied, "192.0.2.2", 5)] });
    await learn(world, denied, "AAAA", absent);
    await world.passes(60);
    const asked = await world.asks(denied, "AAAA");
    await world.upstream.fails("refused");
    expect(asked.rcode()).toBe(servfail);
  });

  test("of a parent is not told while the rule of the absent parent is off", async () => {
    const world = await expiredWorld(["example.com"], { shortCircuit: "certain" });
    await learn(world, "com.svc.cluster.local", "A", absent);
    await world.passes(6);
    const asked = await world.asks("other.com.svc.cluster.local", "A");
    await world.upstream.fails("refused");
    expect(asked.rcode()).toBe(servfail);
  });

  test("gives way to data at once when kube-dns is back", async () => {
    const world = await expiredWorld(["web.shop"]);
    await asksDenied(world);
    await world.passes(5);
    const asked = await world.asks(denied, "A");
    while (asked.isWaiting())
      await world.upstream.settlesAll((text) =>
        text === `${denied} A` ? { answers: [a(denied, "192.0.2.9", 5)] } : noData,
      );
    expect(asked.hasData()).toBe(true);
    expect((await world.asks(denied, "A")).hasData()).toBe(true);
  });
});

describe("C13: while upstream says nothing to anybody", () => {
  const names = ["a.example", "b.example", "c.example"];

  /** A world with expired names, in which four questions in a row had no reply. */
  async function silentWorld(): Promise<World> {
    const world = createWorld();
    for (const name of names) await learn(world, name, "A", { answers: [a(name, "192.0.2.1", 5)] });
    await world.passes(6);
    for (const label of ["k", "l", "m", "n"]) {
      await world.asks(`${label}.example`, "A");
      await world.upstream.fails("timeout");
    }
    return world;
  }

  test("what has a stale answer is answered at once, and one question in five seconds is asked", async () => {
    const world = await silentWorld();
    const before = world.asked.length;
    for (const name of names) expect((await world.asks(name, "A")).hasData()).toBe(true);
    expect(world.asked.slice(before)).toEqual(["a.example A"]);
    await world.passes(4.9);
    for (const name of names) expect((await world.asks(name, "A")).hasData()).toBe(true);
    expect(world.asked.slice(before)).toHaveLength(1);
    await world.passes(0.1);
    await world.asks("b.example", "A");
    expect(world.asked.slice(before)).toEqual(["a.example A", "b.example A"]);
  });

  test("the first reply ends that, whatever it says", async () => {
    const world = await silentWorld();
    await world.asks("o.example", "A");
    await world.upstream.answers({ rcode: servfail });
    expect((await world.asks("c.example", "A")).isWaiting()).toBe(true);
  });

  test("what has no stale answer is asked", async () => {
    const world = await silentWorld();
    const asked = await world.asks("o.example", "A");
    expect(asked.isWaiting()).toBe(true);
  });

  test("names of another route wait for their servers as ever", async () => {
    const world = await silentWorld();
    const long = "a-name-of-another-route.example";
    await learn(world, long, "A", { answers: [a(long, "192.0.2.1", 5)] });
    await world.passes(6);
    expect((await world.asks(long, "A")).isWaiting()).toBe(true);
  });
});

describe("C13: while no server of a route is up", () => {
  const name = "a.example";

  /** A world with an expired name, none of whose servers is up. */
  async function downWorld(): Promise<World> {
    const world = createWorld();
    await learn(world, name, "A", { answers: [a(name, "192.0.2.1", 5)] });
    await world.passes(6);
    world.upstream.goesAway();
    return world;
  }

  test("nobody waits for a first question to fail who has a stale answer; it is asked meanwhile", async () => {
    const world = await downWorld();
    expect(world.foresees(name, "A")).toEqual([{ kind: "awayUpstream", stale: "data", again: true }]);
    const asked = await world.asks(name, "A");
    expect(asked.reply().answers[0]?.ttl).toBe(30);
    expect(world.open()).toEqual([`${name} A`]);
  });

  test("the reply to that question is what the next client gets, also while the servers count as down", async () => {
    const world = await downWorld();
    await world.asks(name, "A");
    await world.upstream.answers({ answers: [a(name, "192.0.2.2", 5)] });
    expect((await world.asks(name, "A")).isCached()).toBe(true);
  });

  test("what has no stale answer is asked", async () => {
    const world = await downWorld();
    expect((await world.asks("b.example", "A")).isWaiting()).toBe(true);
  });

  test("everybody waits again once a server is up", async () => {
    const world = await downWorld();
    world.upstream.recovers();
    expect((await world.asks(name, "A")).isWaiting()).toBe(true);
  });
});
