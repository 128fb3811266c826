import { describe, expect, test } from "vitest";
import { a, aaaa, cname, nameBytes, soa, txt, Type } from "../support/messages/messages.ts";
import {
  type Asked,
  createWorld,
  denial,
  nodata,
  nxdomain,
  type TypeName,
  type UpstreamReply,
  type World,
  type WorldSettings,
} from "../support/world/create-world.ts";

const servfail = 2;
const outside = "baidu.com";
const first = `${outside}.default.svc.cluster.local`;
const absentService = "com.default.svc.cluster.local";
const absentNamespace = "com.svc.cluster.local";
const v4: UpstreamReply = { answers: [a(outside, "192.0.2.1", 300)] };
const v6: UpstreamReply = { answers: [aaaa(outside, 1, 300)] };
const noName: UpstreamReply = { rcode: nxdomain, authorities: [soa("com", 60, 60)] };
const noData: UpstreamReply = { authorities: [soa("com", 60, 60)] };
const addressTypeNames = ["A", "AAAA"] as const;

/** A world whose zone has shown its schema. */
function createSearchWorld(settings: WorldSettings = {}): World {
  return createWorld({ showsSchema: true, prefetches: false, ...settings });
}

/** A world with the setting on, which knows that no namespace and no Service is named "com". */
async function createTaughtChain(settings: WorldSettings = {}): Promise<World> {
  const chain = createSearchWorld({ answersOutsideNames: true, ...settings });
  await teach(chain, absentService);
  await teach(chain, absentNamespace);
  chain.asked.length = 0;
  return chain;
}

async function teach(chain: World, name: string, spec: UpstreamReply = denial): Promise<void> {
  await chain.asks(name);
  await chain.answers(`${name} A`, spec);
}

/** Upstream answers for the outside name, both types. */
async function settleOutside(chain: World, a4: UpstreamReply, a6: UpstreamReply): Promise<void> {
  await chain.answers(`${outside} A`, a4);
  await chain.answers(`${outside} AAAA`, a6);
}

const recordsOf = (client: Asked) => client.reply().answers.map(({ name, type, data }) => ({ name, type, data }));

const aliasTo = { name: first, type: Type.CNAME, data: nameBytes(outside) };

describe("the first suffix query of an outside name", () => {
  test.each(addressTypeNames)("is answered at once with that name and its records: %s", async (type) => {
    const chain = await createTaughtChain();
    const client = await chain.asks(first, type);
    expect(chain.open().toSorted()).toEqual([`${outside} A`, `${outside} AAAA`]);
    await settleOutside(chain, v4, v6);
    const [record] = (type === "A" ? v4 : v6).answers ?? [];
    expect(recordsOf(client)).toEqual([aliasTo, { name: outside, type: Type[type], data: record?.data }]);
    expect(client.reply().questions).toMatchObject([{ name: first, type: Type[type] }]);
    expect(chain.resolver.counters.outsideAnswers).toBe(1);
  });

  test("is so for A and AAAA alike, which cost two questions together", async () => {
    const chain = await createTaughtChain();
    const clients = [await chain.asks(first, "A"), await chain.asks(first, "AAAA")];
    await settleOutside(chain, v4, v6);
    expect(clients.map(recordsOf).map(([alias]) => alias)).toEqual([aliasTo, aliasTo]);
    expect(clients.map((client) => client.hasData())).toEqual([true, true]);
    expect(chain.asked.toSorted()).toEqual([`${outside} A`, `${outside} AAAA`]);
  });

  test("costs nothing while the outside name is in the cache, with what is left of its TTLs", async () => {
    const chain = await createTaughtChain();
    await chain.asks(outside, "A");
    await chain.asks(outside, "AAAA");
    await settleOutside(chain, v4, { answers: [aaaa(outside, 1, 4)] });
    chain.asked.length = 0;
    await chain.clock.advance(2000);
    const clients = [await chain.asks(first, "A"), await chain.asks(first, "AAAA")];
    expect(chain.asked).toEqual([]);
    const ttls = clients.map((client) => client.reply().answers.map(({ ttl }) => ttl));
    expect(ttls).toEqual([[5, 298], [2, 2]]); // prettier-ignore
  });

  test("takes the outside name's own aliases along", async () => {
    const chain = await createTaughtChain();
    const client = await chain.asks(first);
    const answers = [cname(outside, "cdn.example"), a("cdn.example", "192.0.2.1")];
    await settleOutside(
      chain,
      { answers },
      { answers: [cname(outside, "cdn.example")], authorities: [soa("example")] },
    );
    expect(recordsOf(client).map(({ name, type }) => `${name} ${type}`)).toEqual([
      `${first} ${Type.CNAME}`,
      `${outside} ${Type.CNAME}`,
      `cdn.example ${Type.A}`,
    ]);
  });

  test.each([
    ["AAAA", v4, noData],
    ["A", noData, v6],
  ] as const)("NODATA for %s alone is an alias with the SOA behind it, never NXDOMAIN", async (type, a4, a6) => {
    const chain = await createTaughtChain();
    const client = await chain.asks(first, type);
    await settleOutside(chain, a4, a6);
    expect(client.rcode()).toBe(0);
    expect(recordsOf(client)).toEqual([aliasTo]);
    expect(client.reply().authorities).toMatchObject([{ name: "com", type: Type.SOA }]);
    const sibling = await chain.asks(first, type === "A" ? "AAAA" : "A");
    expect(sibling.hasData()).toBe(true);
    expect(recordsOf(sibling)).toHaveLength(2);
  });

  test("with three labels needs only the namespace's denial: a Service has no place for it", async () => {
    const chain = createSearchWorld({ answersOutsideNames: true });
    await teach(chain, absentNamespace);
    await chain.asks("www.example.com.default.svc.cluster.local");
    expect(chain.open().toSorted()).toEqual(["www.example.com A", "www.example.com AAAA"]);
  });

  test("is not kept: a Service that appears is seen as soon as the denials are over", async () => {
    const chain = await createTaughtChain();
    await chain.asks(first);
    await settleOutside(chain, v4, v6);
    await chain.clock.advance(5001);
    const client = await chain.asks(first);
    await chain.answers(`${absentService} A`, { answers: [a(absentService, "10.96.0.7")] });
    await chain.answers(`${first} A`, { answers: [a(first, "10.244.0.7")] });
    expect(recordsOf(client)).toMatchObject([{ name: first, type: Type.A }]);
  });
});

describe("a step that is not known to be absent", () => {
  test("the query's own name: its parent is asked, as without the setting", async () => {
    const chain = createSearchWorld({ answersOutsideNames: true });
    await teach(chain, absentNamespace);
    const client = await chain.asks(first);
    expect(chain.open()).toEqual([`${absentService} A`]);
    await chain.answers(`${absentService} A`, denial);
    expect(client.deniedForSeconds()).toBeGreaterThan(0);
  });

  test("the second suffix: the first is denied, as without the setting", async () => {
    const chain = createSearchWorld({ answersOutsideNames: true });
    await teach(chain, absentService);
    const clients = [await chain.asks(first, "A"), await chain.asks(first, "AAAA")];
    expect(clients.map((client) => client.deniedForSeconds())).toEqual([5, 5]);
    expect(chain.open()).toEqual([]);
  });

  test("the second suffix, whose denial is over", async () => {
    const chain = createSearchWorld({ answersOutsideNames: true });
    await teach(chain, absentNamespace);
    await chain.clock.advance(3000);
    await teach(chain, absentService);
    await chain.clock.advance(2001);
    const client = await chain.asks(first);
    expect(client.deniedForSeconds()).toBe(3);
    expect(chain.open()).toEqual([]);
  });

  test("the zone itself, in which names beyond the schema may exist", async () => {
    const chain = await createTaughtChain({ showsSchema: false });
    for (const step of [first, `${outside}.svc.cluster.local`]) await teach(chain, step);
    expect((await chain.asks(first)).rcode()).toBe(nxdomain);
    expect(chain.open()).toEqual([]);
    // Its own denial is as good as any rule.
    await teach(chain, `${outside}.cluster.local`);
    await chain.asks(first);
    expect(chain.open().toSorted()).toEqual([`${outside} A`, `${outside} AAAA`]);
  });

  test("a further suffix: until its denial is known too", async () => {
    const chain = await createTaughtChain({ suffixes: ["corp.example"] });
    expect((await chain.asks(first)).deniedForSeconds()).toBeGreaterThan(0);
    await teach(chain, `${outside}.corp.example`, { rcode: nxdomain, authorities: [soa("corp.example")] });
    const client = await chain.asks(first);
    await settleOutside(chain, v4, v6);
    expect(recordsOf(client)[0]).toEqual(aliasTo);
  });

  test.each<[string, UpstreamReply]>([
    ["has an address", { answers: [a(`${outside}.corp.example`, "192.0.2.9")] }],
    ["exists without one", { authorities: [soa("corp.example")] }],
    [
      "is denied for one type only, behind an alias",
      {
        rcode: nxdomain,
        answers: [cname(`${outside}.corp.example`, "gone.corp.example")],
        authorities: [soa("corp.example")],
      },
    ],
  ])("a further suffix under which the name %s", async (_, spec) => {
    const chain = await createTaughtChain({ suffixes: ["corp.example"] });
    await teach(chain, `${outside}.corp.example`, spec);
    const clients = [await chain.asks(first, "A"), await chain.asks(first, "AAAA")];
    expect(clients.map((client) => client.rcode())).toEqual([nxdomain, nxdomain]);
    expect(chain.open()).toEqual([]);
  });
});

describe("an outside name that cannot be given for both types", () => {
  test.each<[string, UpstreamReply, UpstreamReply]>([
    ["is denied", noName, noName],
    ["has data for A and is denied for AAAA", v4, noName],
    ["is denied for A and has data for AAAA", noName, v6],
    ["fails for A", { rcode: servfail }, v6],
    ["fails for AAAA", v4, { rcode: servfail }],
    ["has no address at all", noData, noData],
    ["has records that are not understood", { answers: [txt(outside, "?"), ...(v4.answers ?? [])] }, noData],
  ])("%s: the suffix query is denied for both", async (_, a4, a6) => {
    const chain = await createTaughtChain();
    const clients = [await chain.asks(first, "A"), await chain.asks(first, "AAAA")];
    await settleOutside(chain, a4, a6);
    expect(clients.map((client) => client.rcode())).toEqual([nxdomain, nxdomain]);
    expect(chain.resolver.counters.outsideAnswers).toBe(0);
  });

  test.each(addressTypeNames)("gets no reply for %s: the suffix query is denied for both", async (silent) => {
    const chain = await createTaughtChain();
    const clients = [await chain.asks(first, "A"), await chain.asks(first, "AAAA")];
    if (silent === "A") await chain.answers(`${outside} AAAA`, v6);
    else await chain.answers(`${outside} A`, v4);
    expect(clients.map((client) => client.isWaiting())).toEqual([true, true]);
    await chain.fails(`${outside} ${silent}`);
    expect(clients.map((client) => client.rcode())).toEqual([nxdomain, nxdomain]);
  });
});

describe("left alone", () => {
  test.each<[string, TypeName, object]>([
    ["a client that asks for signatures", "A", { dnssecOk: true }],
    ["a client that does not want recursion", "A", { recursionDesired: false }],
    ["TXT", "TXT", {}],
    ["SRV", "SRV", {}],
    ["HTTPS", "HTTPS", {}],
  ])("%s", async (_, type, details) => {
    const chain = await createTaughtChain();
    // What is denied with DO is known by itself.
    for (const name of [absentService, absentNamespace]) {
      await chain.asks(name, "A", details);
      if (chain.open().includes(`${name} A`)) await chain.answers(`${name} A`, denial);
    }
    await chain.asks(first, type, details);
    expect(chain.open().filter((text) => text.startsWith(outside) && !text.startsWith(first))).toEqual([]);
    expect(chain.resolver.counters.outsideAnswers).toBe(0);
  });

  test("everybody, unless it is switched on", async () => {
    const chain = await createTaughtChain({ answersOutsideNames: false });
    expect((await chain.asks(first)).deniedForSeconds()).toBe(5);
    expect(chain.asked).toEqual([]);
  });

  test.each(["baidu.com.svc.cluster.local", "baidu.com.cluster.local"])("a later step: %s", async (name) => {
    const chain = await createTaughtChain();
    expect((await chain.asks(name)).deniedForSeconds()).toBe(5);
    expect(chain.asked).toEqual([]);
  });

  test("a Service: it is answered with its own address, whatever is outside", async () => {
    const chain = createSearchWorld({ answersOutsideNames: true });
    await teach(chain, absentNamespace);
    await teach(chain, absentService, { answers: [a(absentService, "10.96.0.7")] });
    const client = await chain.asks(first);
    expect(chain.open()).toEqual([`${first} A`]);
    await chain.answers(`${first} A`, { answers: [a(first, "10.244.0.7")] });
    expect(recordsOf(client)).toMatchObject([{ name: first, type: Type.A }]);
    expect((await chain.asks(first)).isCached()).toBe(true);
  });

  test("a name of its own that exists below a Service that does not", async () => {
    const chain = await createTaughtChain();
    const headless = "www.com.shop.svc.cluster.local";
    const client = await chain.asks(headless);
    expect(chain.open()).toEqual(["com.shop.svc.cluster.local A"]);
    await chain.answers("com.shop.svc.cluster.local A", nodata);
    await chain.answers(`${headless} A`, { answers: [a(headless, "10.244.0.8")] });
    expect(recordsOf(client)).toMatchObject([{ name: headless, type: Type.A }]);
  });
});

describe("the rules that the answer relies on", () => {
  test("are checked, for every step that the client will not ask", async () => {
    const chain = await createTaughtChain({ checkOneIn: 1 });
    await chain.asks(first);
    const steps = [first, `${outside}.svc.cluster.local`, `${outside}.cluster.local`].map((name) => `${name} A`);
    expect(chain.open()).toEqual(expect.arrayContaining(steps));
    await chain.answers(`${outside}.cluster.local A`, { answers: [a(`${outside}.cluster.local`, "192.0.2.9")] });
    expect(chain.switchedOff).toEqual([{ rule: "absentBySchema", name: `${outside}.cluster.local` }]);
  });
});

describe("without room", () => {
  test("for more questions in flight, the suffix query is denied as ever", async () => {
    const chain = await createTaughtChain({ maxInFlight: 1 });
    await chain.asks("slow.example");
    expect((await chain.asks(first)).deniedForSeconds()).toBe(5);
    expect(chain.asked).toEqual(["slow.example A"]);
  });
});

describe("an outside name that has failed a moment ago", () => {
  test("is not asked again for the other type's suffix query, which is denied too", async () => {
    const chain = await createTaughtChain();
    const v4Client = await chain.asks(first, "A");
    await chain.answers(`${outside} A`, v4);
    await chain.answers(`${outside} AAAA`, { rcode: servfail });
    chain.asked.length = 0;
    const v6Client = await chain.asks(first, "AAAA");
    expect(chain.asked).toEqual([]);
    expect([v4Client.rcode(), v6Client.rcode()]).toEqual([nxdomain, nxdomain]);
  });
});
