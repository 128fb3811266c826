/*
 * Advice for namespaces, out of planted traffic whose figures can be computed by hand.
 */
import { describe, expect, test } from "vitest";
import { adviseNamespace, type NamespaceAdvice } from "../../src/explain/advise.ts";
import { printAdvice } from "../../src/explain/print-advice.ts";
import { socketAddress } from "../../src/runtime/socket-address.ts";
import { trafficByNamespace } from "../../src/seen/namespace-traffic.ts";
import { readWriting } from "../../src/seen/written-names.ts";
import { a } from "../support/messages/messages.ts";
import { createWorld, denial, type TypeName, type World } from "../support/world/create-world.ts";

const zone = "cluster.local";
const web = "10.0.0.7";

interface Client {
  readonly address: string;
  readonly namespace?: string;
  readonly ndots?: number;
  readonly looks?: "musl" | "glibc";
}

let turn = 0;

/** A client looks a name up as its libc does, A and AAAA at each step, until one exists. */
async function looksUp(world: World, client: Client, name: string, existing: readonly string[]): Promise<void> {
  const { address, namespace = "shop", ndots = 5, looks = "glibc" } = client;
  const suffixed = [`${namespace}.svc.${zone}`, `svc.${zone}`, zone].map((suffix) => `${name}.${suffix}`);
  const hasEnough = name.split(".").length - 1 >= ndots;
  const steps = hasEnough ? [name, ...(looks === "musl" ? [] : suffixed)] : [...suffixed, name];
  for (const step of steps) {
    turn += 1;
    for (const type of ["A", "AAAA"] as const) await asks(world, address, step, type, looks);
    // AAAA of a name of the cluster is asked once A has data.
    while (world.open().length > 0)
      await world.upstream.settlesAll(existing.includes(step) ? { answers: [a(step, "10.96.1.1")] } : denial);
    if (existing.includes(step)) return;
    // What is not answered is denied for a while, and then asked for again.
    await world.passes(6);
  }
}

/** musl takes its IDs from the clock, glibc by chance. */
async function asks(world: World, client: string, name: string, type: TypeName, looks: "musl" | "glibc") {
  const first = (turn * 7919) & 0xffff;
  const apart = looks === "musl" ? 40 : 30_000;
  await world.asks(name, type, {
    client,
    port: 20_000 + (turn % 40_000),
    id: (first + (type === "A" ? 0 : apart)) & 0xffff,
  });
}

/** The advice for a namespace, with what explain's engine foretells. */
function adviceFor(world: World, namespace = "shop"): NamespaceAdvice | undefined {
  const writing = readWriting(world.seen, zone);
  const traffic = trafficByNamespace(world.seen, writing, zone).find((each) => each.namespace === namespace);
  const seenZone = { clusterDomain: zone, hostSuffixes: [], exists: (name: string) => writing.existing.has(name) };
  return traffic && adviseNamespace(traffic, seenZone);
}

const outside = "www.example.com";
const service = `web.batch.svc.${zone}`;
const pet = `web-0.web.shop.svc.${zone}`;

describe("a namespace whose pods walk the suffixes for outside names", () => {
  /** Ten lookups of an outside name, eight queries each, and five of a Service of another namespace, four queries each. */
  async function plant(looks: "musl" | "glibc" = "glibc"): Promise<World> {
    const world = createWorld();
    for (let time = 0; time < 10; time += 1) await looksUp(world, { address: web, looks }, outside, [outside]);
    for (let time = 0; time < 5; time += 1) await looksUp(world, { address: web, looks }, "web.batch", [service]);
    return world;
  }

  test("is advised the ndots that spares them, with the queries before and after", async () => {
    expect(adviceFor(await plant())).toMatchObject({
      namespace: "shop",
      clients: { glibc: 1 },
      ndots: 5,
      // Six of eight, and two of four.
      denied: 10 * 6 + 5 * 2,
      change: { ndots: 2, queriesNow: 10 * 8 + 5 * 4, queriesThen: 10 * 2 + 5 * 4 },
      refused: undefined,
    });
  });

  test("is given a patch for it", async () => {
    expect(adviceFor(await plant())?.change?.patch).toEqual({
      spec: { template: { spec: { dnsConfig: { options: [{ name: "ndots", value: "2" }] } } } },
    });
  });

  test("or a final dot, where the name is an outside one: it spares six queries of eight", async () => {
    expect(adviceFor(await plant())?.finalDots).toEqual([{ name: `${outside}.`, queriesNow: 80, queriesThen: 20 }]);
  });
});

describe("an ndots that would save more is refused", () => {
  async function plant(looks: "musl" | "glibc", others: readonly [name: string, existing: string][]): Promise<World> {
    const world = createWorld();
    for (let time = 0; time < 10; time += 1)
      await looksUp(world, { address: web, looks }, "example.com", ["example.com"]);
    for (const [name, existing] of others)
      for (let time = 0; time < 5; time += 1) await looksUp(world, { address: web, looks }, name, [existing]);
    return world;
  }

  test("where musl would not find a Service of another namespace", async () => {
    const advice = adviceFor(await plant("musl", [["web.batch", service]]));
    expect(advice).toMatchObject({
      clients: { musl: 1 },
      change: undefined,
      refused: { ndots: 1, names: ["web.batch"] },
    });
    expect(advice?.refused?.why).toBe("musl (Alpine) would never try a suffix for them, and not find them");
  });

  test("where others would ask for it outside first", async () => {
    expect(adviceFor(await plant("glibc", [["web.batch", service]]))?.refused?.why).toMatch(
      /^they would be asked .* outside/,
    );
  });

  test("because of a name that exists under the first suffix, though nothing was denied before it", async () => {
    const advice = adviceFor(await plant("musl", [["web-0.web", pet]]));
    expect(advice).toMatchObject({ change: undefined, refused: { names: ["web-0.web"] } });
  });

  test("but not because of one without dots", async () => {
    const advice = adviceFor(await plant("musl", [["web", `web.shop.svc.${zone}`]]));
    expect(advice).toMatchObject({ change: { ndots: 1, queriesNow: 10 * 8 + 5 * 2, queriesThen: 10 * 2 + 5 * 2 } });
  });
});

test("a name that does not exist anywhere is walked in full by glibc whatever ndots is: nothing is saved", async () => {
  const world = createWorld();
  for (let time = 0; time < 10; time += 1) await looksUp(world, { address: web }, "gone.example.com", []);
  expect(adviceFor(world)).toMatchObject({ change: undefined, finalDots: [] });
});

test("the full name of a Service, which has too few dots for ndots 5, is spared the suffixes by ndots 4", async () => {
  const world = createWorld();
  for (let time = 0; time < 10; time += 1) await looksUp(world, { address: web }, service, [service]);
  expect(adviceFor(world)).toMatchObject({ change: { ndots: 4, queriesNow: 80, queriesThen: 20 } });
});

test("a Service is counted as it was written: at once, after a denial, in full; the lookups add up to what was asked", async () => {
  const world = createWorld();
  const found = `web.shop.svc.${zone}`;
  for (let time = 0; time < 10; time += 1)
    for (const name of ["web", "web.shop", found, "gone.example.com"])
      await looksUp(world, { address: web }, name, [found]);
  const advice = adviceFor(world);
  // 2, 4, 8 and 8 queries, ten times.
  expect(advice?.queries).toBe(220);
  expect(advice?.change).toMatchObject({ ndots: 4, queriesNow: 220, queriesThen: 160 });
});

test("what is not a namespace is not taken for one, for its name stands in a command", async () => {
  const world = createWorld();
  const hostile = "$(id)";
  for (let time = 0; time < 10; time += 1)
    await looksUp(world, { address: web, namespace: hostile }, outside, [outside]);
  expect(adviceFor(world, hostile)).toBeUndefined();
  const { names } = readWriting(world.seen, zone);
  expect(names.map(({ namespace }) => namespace)).not.toContain(hostile);
});

test("namespaces are advised apart", async () => {
  const world = createWorld();
  for (let time = 0; time < 10; time += 1) {
    await looksUp(world, { address: web }, outside, [outside]);
    await looksUp(world, { address: "10.0.0.8", namespace: "batch" }, "a.b.example.com", ["a.b.example.com"]);
  }
  expect([adviceFor(world)?.change?.ndots, adviceFor(world, "batch")?.change?.ndots]).toEqual([2, 3]);
});

describe("the ndots of a client is guessed", () => {
  const ndotsOf = (world: World) => readWriting(world.seen, zone).ndotsOf(world.seen.clients.rowOf(socket));
  const socket = socketAddress({ host: web, port: 0 });

  test("as the usual 5 where it searches for an outside name", async () => {
    const world = createWorld();
    await looksUp(world, { address: web }, outside, [outside]);
    expect(ndotsOf(world)).toBe(5);
  });

  test("as lower where it asks for names with as many dots as they stand", async () => {
    const world = createWorld();
    await looksUp(world, { address: web, ndots: 2 }, "web.batch", [service]);
    await looksUp(world, { address: web, ndots: 2 }, outside, [outside]);
    expect(ndotsOf(world)).toBe(2);
  });

  test("as 5 where it also asks for names with a final dot", async () => {
    const world = createWorld();
    await looksUp(world, { address: web }, outside, [outside]);
    await world.asks("api.example.com", "A", { client: web });
    await world.upstream.settlesAll({ answers: [a("api.example.com", "192.0.2.1")] });
    expect(ndotsOf(world)).toBe(5);
  });

  test("as nothing where it never searches", async () => {
    const world = createWorld();
    await world.asks(outside, "A", { client: web });
    await world.upstream.settlesAll({ answers: [a(outside, "192.0.2.1")] });
    expect(ndotsOf(world)).toBeUndefined();
  });
});

test("is readable as text", async () => {
  const world = createWorld();
  for (let time = 0; time < 10; time += 1) await looksUp(world, { address: web }, outside, [outside]);
  const advice = adviceFor(world);
  expect(printAdvice({ recordedSeconds: 300, unplaced: 1, namespaces: advice === undefined ? [] : [advice] })).toBe(
    `Out of the queries of the last 5 min. Namespaces, libraries and ndots are guessed from what pods ask.

shop: 1 client (1 glibc), ndots 5; 80 queries, 60 of them denied under a suffix
  ndots 2 saves 60 of 80 queries of lookups (75 %):
    kubectl -n shop patch deployment NAME --patch '{"spec":{"template":{"spec":{"dnsConfig":{"options":[{"name":"ndots","value":"2"}]}}}}}'
  or a final dot, where the program takes it (in a URL it also goes into Host and SNI):
    www.example.com.  saves 60 of 80 queries

1 more client of namespaces that cannot be told.
`,
  );
});
