import { describe, expect, test } from "vitest";
import { a, aaaa, soa, Type } from "../support/messages/messages.ts";
import { entryFor, questionFor } from "../support/messages/parsed-messages.ts";
import { createWorld, denial, nodata, type World, type WorldSettings } from "../support/world/create-world.ts";

const nxdomain = 3;
const servfail = 2;
const web = "web.default.svc.cluster.local";
const suffixed = "baidu.com.default.svc.cluster.local";
const absentService = "com.default.svc.cluster.local";
const siblingPatienceMs = 250;

/** A world whose zone has shown its schema. */
function createSearchWorld(settings: WorldSettings = {}): World {
  return createWorld({ showsSchema: true, prefetches: false, ...settings });
}

/** Upstream has denied this name a moment ago. The life of its SOA is by default far longer than that of denials. */
async function learnDenial(chain: World, name: string, ttlSeconds = 3600): Promise<void> {
  await chain.asks(name);
  await chain.answers(`${name} A`, { rcode: nxdomain, authorities: [soa("cluster.local", ttlSeconds, ttlSeconds)] });
}

describe("A and AAAA under a search suffix", () => {
  test("NXDOMAIN of the first serves both: the second is never asked", async () => {
    const chain = createSearchWorld();
    const first = await chain.asks(web, "A");
    const second = await chain.asks(web, "AAAA");
    expect(chain.asked).toEqual([`${web} A`]);
    await chain.answers(`${web} A`, denial);
    expect([first.rcode(), second.rcode()]).toEqual([nxdomain, nxdomain]);
    expect(chain.asked).toEqual([`${web} A`]);
  });

  test("so does that of AAAA, if AAAA came first", async () => {
    const chain = createSearchWorld();
    const first = await chain.asks(web, "AAAA");
    const second = await chain.asks(web, "A");
    await chain.answers(`${web} AAAA`, denial);
    expect([first.rcode(), second.rcode()]).toEqual([nxdomain, nxdomain]);
    expect(chain.asked).toEqual([`${web} AAAA`]);
  });

  test.each([
    ["data", { answers: [a(web, "10.96.0.7")] }],
    ["NODATA", nodata],
  ])("%s of the first: the second is asked at once, and gets its own answer", async (_, spec) => {
    const chain = createSearchWorld();
    const first = await chain.asks(web, "A");
    const second = await chain.asks(web, "AAAA");
    await chain.answers(`${web} A`, spec);
    expect(first.rcode()).toBe(0);
    expect(second.isWaiting()).toBe(true);
    expect(chain.open()).toEqual([`${web} AAAA`]);
    await chain.answers(`${web} AAAA`, { answers: [aaaa(web, 7)] });
    expect(second.rcode()).toBe(0);
    expect(second.hasData()).toBe(true);
  });

  test("SERVFAIL of the first: the second is asked at once", async () => {
    const chain = createSearchWorld();
    const first = await chain.asks(web, "A");
    const second = await chain.asks(web, "AAAA");
    await chain.answers(`${web} A`, { rcode: servfail });
    expect(first.rcode()).toBe(servfail);
    expect(chain.open()).toEqual([`${web} AAAA`]);
    await chain.answers(`${web} AAAA`, nodata);
    expect(second.rcode()).toBe(0);
  });

  test("a first that is slow costs the second only its short wait", async () => {
    const chain = createSearchWorld();
    await chain.asks(web, "A");
    const second = await chain.asks(web, "AAAA");
    await chain.clock.advance(siblingPatienceMs - 1);
    expect(chain.open()).toEqual([`${web} A`]);
    await chain.clock.advance(1);
    expect(chain.open()).toEqual([`${web} A`, `${web} AAAA`]);
    await chain.answers(`${web} AAAA`, nodata);
    expect(second.rcode()).toBe(0);
  });

  test("a first that fails in the end has not delayed the second", async () => {
    const chain = createSearchWorld();
    const first = await chain.asks(web, "A");
    const second = await chain.asks(web, "AAAA");
    await chain.clock.advance(siblingPatienceMs);
    await chain.answers(`${web} AAAA`, { answers: [aaaa(web, 7)] });
    expect(second.hasData()).toBe(true);
    expect(first.isWaiting()).toBe(true);
    await chain.fails(`${web} A`);
    expect(first.rcode()).toBe(servfail);
  });

  test("never wait for each other: a third that waits for the second is not waited for by it", async () => {
    const chain = createSearchWorld();
    const first = await chain.asks(web, "A");
    const second = await chain.asks(web, "AAAA");
    // The first is answered, and may not be kept: it is asked again while the second is on its way.
    await chain.answers(`${web} A`, { answers: [a(web, "10.96.0.7", 0)] });
    expect(first.rcode()).toBe(0);
    const third = await chain.asks(web, "A");
    expect(chain.open()).toEqual([`${web} AAAA`]);
    await chain.answers(`${web} AAAA`, nodata);
    expect(second.rcode()).toBe(0);
    expect(chain.open()).toEqual([`${web} A`]);
    await chain.answers(`${web} A`, { answers: [a(web, "10.96.0.7", 0)] });
    expect(third.rcode()).toBe(0);
  });

  test("any number of clients of both types share one question", async () => {
    const chain = createSearchWorld();
    const clients = [];
    for (let client = 0; client < 50; client += 1) clients.push(await chain.asks(web, client % 2 === 0 ? "A" : "AAAA"));
    expect(chain.asked).toEqual([`${web} A`]);
    await chain.answers(`${web} A`, denial);
    expect(clients.map((client) => client.rcode())).toEqual(Array(50).fill(nxdomain));
  });

  test("a denial that may not be kept is not shared: the second is asked", async () => {
    const chain = createSearchWorld();
    await chain.asks(web, "A");
    const second = await chain.asks(web, "AAAA");
    await chain.answers(`${web} A`, { rcode: nxdomain, authorities: [soa("cluster.local", 0, 0)] });
    expect(chain.open()).toEqual([`${web} AAAA`]);
    await chain.answers(`${web} AAAA`, denial);
    expect(second.rcode()).toBe(nxdomain);
  });

  test.each(["CNAME", "HTTPS", "SVCB"] as const)(
    "%s of a client that asks it beside A is served by A's denial",
    async (type) => {
      const chain = createSearchWorld();
      await chain.asks(web, "A");
      const other = await chain.asks(web, type);
      await chain.answers(`${web} A`, denial);
      expect(other.rcode()).toBe(nxdomain);
      expect(chain.asked).toEqual([`${web} A`]);
    },
  );

  test.each(["CNAME", "HTTPS", "SVCB"] as const)("%s is asked at once when A has data", async (type) => {
    const chain = createSearchWorld();
    await chain.asks(web, "A");
    const other = await chain.asks(web, type);
    await chain.answers(`${web} A`, { answers: [a(web, "10.96.0.7")] });
    expect(other.isWaiting()).toBe(true);
    expect(chain.open()).toEqual([`${web} ${type}`]);
  });

  test.each(["CNAME", "HTTPS", "SVCB"] as const)(
    "%s of an outside name has its parent asked for an address",
    async (type) => {
      const chain = createSearchWorld();
      const client = await chain.asks(suffixed, type);
      expect(chain.asked).toEqual([`${absentService} A`]);
      await chain.answers(`${absentService} A`, denial);
      expect(client.rcode()).toBe(nxdomain);
      expect(chain.asked).toHaveLength(1);
    },
  );

  test("a name that does not look like an outside one is asked, though no Service can have it", async () => {
    const registry = "registry.cluster.local";
    const chain = createSearchWorld();
    const client = await chain.asks(registry);
    await chain.answers(`${registry} A`, { answers: [a(registry, "10.1.2.3")] });
    expect(client.hasData()).toBe(true);
  });

  test("a whole name of the zone without its final dot costs nothing under the suffixes", async () => {
    const chain = createSearchWorld();
    for (const suffix of ["default.svc.cluster.local", "svc.cluster.local", "cluster.local"])
      expect((await chain.asks(`${web}.${suffix}`)).rcode()).toBe(nxdomain);
    expect(chain.asked).toEqual([]);
  });

  test("a Service with its namespace and svc costs nothing under the suffix of the pod's own namespace", async () => {
    const chain = createSearchWorld();
    expect((await chain.asks("api.ns2.svc.default.svc.cluster.local")).rcode()).toBe(nxdomain);
    expect((await chain.asks("api.ns2.svc.cluster.local")).isWaiting()).toBe(true);
  });

  test("names of a stub domain below the zone are asked, whatever the zone could hold and whatever parent it denied", async () => {
    const chain = createSearchWorld({ stubDomains: ["corp.cluster.local", "com.lab.svc.cluster.local"] });
    await learnDenial(chain, "lab.svc.cluster.local");
    for (const name of ["www.com.corp.cluster.local", "host.com.lab.svc.cluster.local"])
      expect((await chain.asks(name)).isWaiting(), name).toBe(true);
  });

  test.each(["TXT", "SRV"] as const)("%s neither waits for A nor is served by its denial", async (type) => {
    const chain = createSearchWorld();
    await chain.asks(web, "A");
    const other = await chain.asks(web, type);
    expect(chain.open()).toEqual([`${web} A`, `${web} ${type}`]);
    await chain.answers(`${web} A`, denial);
    expect(other.isWaiting()).toBe(true);
  });

  test("a question with DO does not wait for one without", async () => {
    const chain = createSearchWorld();
    await chain.asks(web, "A");
    await chain.asks(web, "AAAA", { dnssecOk: true });
    expect(chain.open()).toEqual([`${web} A`, `${web} AAAA`]);
  });
});

describe("outside the cluster zone", () => {
  test("A and AAAA go out together, and are denied each for itself", async () => {
    const chain = createSearchWorld();
    await chain.asks("nope.com", "A");
    const second = await chain.asks("nope.com", "AAAA");
    expect(chain.open()).toEqual(["nope.com A", "nope.com AAAA"]);
    await chain.answers("nope.com A", { rcode: nxdomain, authorities: [soa("com")] });
    expect(second.isWaiting()).toBe(true);
  });

  test("under a further suffix a denied name is denied for both, and no other rule applies", async () => {
    const chain = createSearchWorld({ suffixes: ["ec2.internal"] });
    await chain.asks("baidu.com.ec2.internal", "A");
    const second = await chain.asks("baidu.com.ec2.internal", "AAAA");
    expect(chain.asked).toEqual(["baidu.com.ec2.internal A"]);
    await chain.answers("baidu.com.ec2.internal A", { rcode: nxdomain, authorities: [soa("ec2.internal")] });
    expect(second.rcode()).toBe(nxdomain);
    expect(second.deniedForSeconds()).toBeUndefined();
  });
});

describe("a name that looks like an outside one", () => {
  test("P6: has its parent asked in its place; the parent's denial covers it", async () => {
    const chain = createSearchWorld();
    const client = await chain.asks(suffixed);
    expect(chain.asked).toEqual([`${absentService} A`]);
    await chain.answers(`${absentService} A`, denial);
    expect(client.rcode()).toBe(nxdomain);
    expect(client.deniedForSeconds()).toBe(5);
    expect(chain.asked).toHaveLength(1);
  });

  test("and every other below the same parent, of both types, without asking", async () => {
    const chain = createSearchWorld();
    await learnDenial(chain, absentService);
    for (const name of ["baidu", "example", "www.example", "a.b"]) {
      for (const type of ["A", "AAAA"] as const) {
        expect((await chain.asks(`${name}.${absentService}`, type)).rcode(), name).toBe(nxdomain);
      }
    }
    expect(chain.asked).toHaveLength(1);
  });

  test("A and AAAA of it are one question to the parent", async () => {
    const chain = createSearchWorld();
    const clients = [await chain.asks(suffixed, "A"), await chain.asks(suffixed, "AAAA")];
    expect(chain.asked).toEqual([`${absentService} A`]);
    await chain.answers(`${absentService} A`, denial);
    expect(clients.map((client) => client.rcode())).toEqual([nxdomain, nxdomain]);
    expect(chain.asked).toHaveLength(1);
  });

  test("different names of one parent are one question to it", async () => {
    const chain = createSearchWorld();
    const clients = [];
    for (let client = 0; client < 20; client += 1) clients.push(await chain.asks(`n${client}.${absentService}`));
    expect(chain.asked).toEqual([`${absentService} A`]);
    await chain.answers(`${absentService} A`, denial);
    expect(clients.map((client) => client.rcode())).toEqual(Array(20).fill(nxdomain));
    expect(chain.asked).toHaveLength(1);
  });

  test.each([
    ["data", { answers: [a(absentService, "10.96.0.7")] }],
    ["NODATA", nodata],
  ])("is asked itself if the parent has %s", async (_, spec) => {
    const chain = createSearchWorld();
    const client = await chain.asks(suffixed);
    await chain.answers(`${absentService} A`, spec);
    expect(chain.open()).toEqual([`${suffixed} A`]);
    await chain.answers(`${suffixed} A`, { answers: [a(suffixed, "10.244.0.7")] });
    expect(client.hasData()).toBe(true);
  });

  test("a parent that exists is not asked again for minutes: it is a Service or namespace with such a name", async () => {
    const chain = createSearchWorld();
    await chain.asks(suffixed);
    await chain.answers(`${absentService} A`, { answers: [a(absentService, "10.96.0.7", 30)] });
    await chain.answers(`${suffixed} A`, { rcode: nxdomain, authorities: [soa("cluster.local", 3600, 3600)] });
    await chain.asks(`other.${absentService}`);
    expect(chain.open()).toEqual([`other.${absentService} A`]);
    await chain.clock.advance(599_000);
    await chain.asks(`third.${absentService}`);
    expect(chain.open()).not.toContain(`${absentService} A`);
    await chain.clock.advance(1000);
    await chain.asks(`fourth.${absentService}`);
    expect(chain.open()).toContain(`${absentService} A`);
  });

  test("a parent that exists is asked again once it was denied", async () => {
    const chain = createSearchWorld();
    await chain.asks(absentService);
    await chain.answers(`${absentService} A`, { answers: [a(absentService, "10.96.0.7", 30)] });
    await chain.clock.advance(31_000);
    await chain.asks(absentService);
    await chain.answers(`${absentService} A`, denial);
    await chain.clock.advance(6000);
    await chain.asks(suffixed);
    expect(chain.open()).toEqual([`${absentService} A`]);
  });

  test("is asked itself if the parent cannot be asked", async () => {
    const chain = createSearchWorld();
    const client = await chain.asks(suffixed);
    await chain.fails(`${absentService} A`);
    expect(chain.open()).toEqual([`${suffixed} A`]);
    await chain.answers(`${suffixed} A`, denial);
    expect(client.rcode()).toBe(nxdomain);
  });

  test("is asked itself if the parent's denial may not be kept", async () => {
    const chain = createSearchWorld();
    const client = await chain.asks(suffixed);
    await chain.answers(`${absentService} A`, { rcode: nxdomain, authorities: [soa("cluster.local", 0, 0)] });
    expect(chain.open()).toEqual([`${suffixed} A`]);
    await chain.answers(`${suffixed} A`, denial);
    expect(client.rcode()).toBe(nxdomain);
  });

  test("joins a client's own question for the parent", async () => {
    const chain = createSearchWorld();
    const parent = await chain.asks(absentService);
    const child = await chain.asks(suffixed);
    expect(chain.asked).toEqual([`${absentService} A`]);
    await chain.answers(`${absentService} A`, denial);
    expect([parent.rcode(), child.rcode()]).toEqual([nxdomain, nxdomain]);
  });

  test("that exists is answered from the cache, whatever its parent", async () => {
    const chain = createSearchWorld();
    await chain.asks(suffixed);
    await chain.answers(`${absentService} A`, nodata);
    await chain.answers(`${suffixed} A`, { answers: [a(suffixed, "10.244.0.7", 30)] });
    // Its Service has lost its endpoints since.
    await chain.clock.advance(6000);
    await learnDenial(chain, absentService);
    expect((await chain.asks(suffixed)).isCached()).toBe(true);
    // And the other type is asked: musl would throw the data away beside our NXDOMAIN.
    await chain.asks(suffixed, "AAAA");
    expect(chain.open()).toContain(`${suffixed} AAAA`);
  });

  test("of the type TXT is asked itself", async () => {
    const chain = createSearchWorld();
    await chain.asks(suffixed, "TXT");
    expect(chain.asked).toEqual([`${suffixed} TXT`]);
  });

  test("does not go over the bound on questions in flight", async () => {
    const chain = createSearchWorld({ maxInFlight: 2 });
    await chain.asks("one.default.svc.cluster.local");
    await chain.asks("two.default.svc.cluster.local");
    const third = await chain.asks(suffixed);
    expect(third.isDropped()).toBe(true);
    // The client leaves as much of the route free as it takes.
    expect(chain.asked).toEqual(["one.default.svc.cluster.local A"]);
  });
});

describe("names below a Service that does not exist", () => {
  // As programs write a Service of another namespace.
  const [first, second] = ["web.shop.default.svc.cluster.local", "db.shop.default.svc.cluster.local"];
  const service = "shop.default.svc.cluster.local";

  test("once one is denied, the Service is asked in the place of all, of both types", async () => {
    const chain = createSearchWorld();
    await learnDenial(chain, first);
    const clients = [await chain.asks(second, "A"), await chain.asks(second, "AAAA")];
    expect(chain.asked).toEqual([`${first} A`, `${service} A`]);
    await chain.answers(`${service} A`, denial);
    expect(clients.map((client) => client.deniedForSeconds())).toEqual([5, 5]);
    await chain.clock.advance(6000);
    await chain.asks(first);
    expect(chain.open()).toEqual([`${service} A`]);
    await chain.answers(`${service} A`, denial);
    expect((await chain.asks(second)).rcode()).toBe(nxdomain);
    expect(chain.asked).toHaveLength(3);
  });

  test("a Service that exists after all costs one question in minutes", async () => {
    const chain = createSearchWorld();
    await learnDenial(chain, first);
    const client = await chain.asks(second);
    await chain.answers(`${service} A`, nodata);
    await chain.answers(`${second} A`, { answers: [a(second, "10.244.0.7")] });
    expect(client.hasData()).toBe(true);
    await chain.clock.advance(60_000);
    await chain.asks(first);
    expect(chain.open()).toEqual([`${first} A`]);
  });

  test("a namespace is not asked because a Service in it was denied", async () => {
    const chain = createSearchWorld();
    await learnDenial(chain, "shop.default.svc.cluster.local");
    await chain.asks("cart.default.svc.cluster.local");
    expect(chain.open()).toEqual(["cart.default.svc.cluster.local A"]);
  });

  test("a namespace that was denied itself is asked in the place of what is in it", async () => {
    const chain = createSearchWorld();
    await learnDenial(chain, "shop.svc.cluster.local");
    await chain.clock.advance(6000);
    await chain.asks("web.shop.svc.cluster.local");
    expect(chain.open()).toEqual(["shop.svc.cluster.local A"]);
  });

  test("are asked themselves with the setting `certain`", async () => {
    const chain = createSearchWorld({ shortCircuit: "certain" });
    await learnDenial(chain, first);
    await chain.asks(second);
    expect(chain.open()).toEqual([`${second} A`]);
  });
});

describe("the life of what was learned", () => {
  test.each([
    [0, 5],
    [1000, 4],
    [3999, 2],
    [4000, 1],
    [4999, 1],
  ])("after %i ms of five seconds it denies for %i s", async (elapsedMs, ttlSeconds) => {
    const chain = createSearchWorld();
    await learnDenial(chain, absentService);
    await chain.clock.advance(elapsedMs);
    expect((await chain.asks(suffixed)).deniedForSeconds()).toBe(ttlSeconds);
  });

  test("it ends with the parent's own denial, to the millisecond: the parent is asked again", async () => {
    const chain = createSearchWorld();
    await learnDenial(chain, absentService);
    await chain.clock.advance(5000);
    await chain.asks(suffixed);
    expect(chain.open()).toEqual([`${absentService} A`]);
  });

  test("a zone with a shorter SOA denies for no longer than that", async () => {
    const chain = createSearchWorld();
    await learnDenial(chain, absentService, 2);
    expect((await chain.asks(suffixed)).deniedForSeconds()).toBe(2);
    await chain.clock.advance(2000);
    expect((await chain.asks(suffixed)).deniedForSeconds()).toBeUndefined();
  });

  test("a zone with a longer one, for no longer than the setting", async () => {
    const chain = createSearchWorld({ maxClusterDenialTtlSeconds: 3 });
    await learnDenial(chain, absentService, 300);
    expect((await chain.asks(suffixed)).deniedForSeconds()).toBe(3);
    expect((await chain.asks("baidu.com.cluster.local")).deniedForSeconds()).toBe(3);
  });

  test("synthesised denials feed no others: the end is that of the denial that was learned", async () => {
    const chain = createSearchWorld();
    await learnDenial(chain, absentService);
    for (let second = 0; second < 4; second += 1) {
      expect((await chain.asks(`n${second}.${absentService}`)).deniedForSeconds()).toBe(5 - second);
      await chain.clock.advance(1000);
    }
    await chain.clock.advance(1000);
    await chain.asks(`last.${absentService}`);
    expect(chain.open()).toEqual([`${absentService} A`]);
  });

  test("data or NODATA of the parent ends it at once", async () => {
    const chain = createSearchWorld();
    await learnDenial(chain, absentService);
    // A check found that it exists, which is the newer word.
    const question = questionFor(absentService, Type.AAAA);
    chain.cache.store(entryFor(question, nodata, chain.clock.nowMs()));
    await chain.asks(suffixed);
    expect(chain.open()).toEqual([`${suffixed} A`]);
  });
});

describe("the counters", () => {
  test("count each denial by its rule and its suffix", async () => {
    const chain = createSearchWorld();
    await chain.asks("baidu.com.cluster.local");
    await chain.asks("baidu.com.cluster.local", "AAAA");
    await chain.asks("a.b.example.com.svc.cluster.local");
    await chain.asks("www.baidu.com.default.svc.cluster.local");
    await learnDenial(chain, "com.svc.cluster.local");
    await chain.asks("baidu.com.svc.cluster.local");
    await learnDenial(chain, absentService);
    await chain.asks(suffixed);
    await chain.asks(suffixed, "AAAA");
    await chain.asks(`x.${suffixed}`, "TXT");
    expect(chain.resolver.counters.denials).toEqual({
      absentBySchema: { namespace: 1, svc: 1, zone: 2 },
      absentParent: { namespace: 2, svc: 1, zone: 0 },
    });
  });

  test("do not count denials that upstream sent", async () => {
    const chain = createSearchWorld();
    await learnDenial(chain, web);
    expect((await chain.asks(web)).isCached()).toBe(true);
    expect(chain.resolver.counters.denials.absentParent).toEqual({ namespace: 0, svc: 0, zone: 0 });
  });
});

describe("the settings and the zone", () => {
  test("without the schema version nothing is denied and no parent asked, as with the older kube-dns", async () => {
    const chain = createSearchWorld({ showsSchema: false });
    // It denies namespaces that exist.
    await learnDenial(chain, "default.svc.cluster.local", 60);
    const names = [web, suffixed, "baidu.com.cluster.local", "www.baidu.com.default.svc.cluster.local"];
    for (const name of names) await chain.asks(name);
    expect(chain.open()).toEqual(names.map((name) => `${name} A`));
    await chain.answers(`${web} A`, { answers: [a(web, "10.0.0.7")] });
    expect((await chain.asks(web)).isCached()).toBe(true);
  });

  test("`certain` denies by schema, and learns nothing", async () => {
    const chain = createSearchWorld({ shortCircuit: "certain" });
    expect((await chain.asks("baidu.com.cluster.local")).deniedForSeconds()).toBe(5);
    await chain.asks(suffixed);
    expect(chain.asked).toEqual([`${suffixed} A`]);
  });

  test("`off` asks for everything, for each type", async () => {
    const chain = createSearchWorld({ shortCircuit: "off" });
    await chain.asks("baidu.com.cluster.local", "A");
    const second = await chain.asks("baidu.com.cluster.local", "AAAA");
    expect(chain.asked).toEqual(["baidu.com.cluster.local A", "baidu.com.cluster.local AAAA"]);
    await chain.answers("baidu.com.cluster.local A", denial);
    expect(second.isWaiting()).toBe(true);
  });

  test("the SOA is asked for again, once, in the second half of its life", async () => {
    const chain = createSearchWorld();
    await learnDenial(chain, absentService, 30);
    await chain.clock.advance(14_000);
    await chain.asks("baidu.com.cluster.local");
    expect(chain.learnings()).toBe(0);
    await chain.clock.advance(1000);
    await chain.asks("baidu.com.cluster.local");
    await chain.asks("baidu.com.cluster.local");
    expect(chain.learnings()).toBe(1);
  });

  test("an SOA of another zone is no reason to go on", async () => {
    const chain = createSearchWorld();
    await chain.clock.advance(3_600_000);
    await chain.asks(web);
    await chain.answers(`${web} A`, { rcode: nxdomain, authorities: [soa("local", 900, 900)] });
    expect((await chain.asks("baidu.com.cluster.local")).deniedForSeconds()).toBeUndefined();
  });
});

describe("the self-check", () => {
  const impossible = "baidu.com.cluster.local";

  test("asks upstream about one in N denials, after the client was answered", async () => {
    const chain = createSearchWorld({ checkOneIn: 4 });
    const codes = [];
    for (let denied = 0; denied < 16; denied += 1)
      codes.push((await chain.asks(`n${denied}.com.cluster.local`)).rcode());
    expect(codes).toEqual(Array(16).fill(nxdomain));
    // The first gap is the longest one there is, 7; then every fourth.
    expect(chain.asked).toEqual(["n6.com.cluster.local A", "n10.com.cluster.local A", "n14.com.cluster.local A"]);
    expect(chain.knowledge.counters.absentBySchema.checks).toBe(3);
  });

  test("agreement keeps the rule on, and is not kept as anything new", async () => {
    const chain = createSearchWorld({ checkOneIn: 1 });
    await chain.asks(impossible);
    await chain.answers(`${impossible} A`, denial);
    expect(chain.switchedOff).toEqual([]);
    expect((await chain.asks(impossible)).deniedForSeconds()).toBe(5);
  });

  test.each([
    ["data", { answers: [a(impossible, "192.0.2.7")] }],
    ["NODATA", nodata],
  ])("%s switches the schema rule off, with one call, and is kept for the next client", async (_, spec) => {
    const chain = createSearchWorld({ checkOneIn: 1 });
    await chain.asks(impossible);
    await chain.asks("other.com.cluster.local");
    await chain.answers(`${impossible} A`, spec);
    expect(chain.switchedOff).toEqual([{ rule: "absentBySchema", name: impossible }]);
    expect((await chain.asks(impossible)).isCached()).toBe(true);
    // A second check that was under way finds the same, and says nothing more.
    await chain.answers("other.com.cluster.local A", { answers: [a("other.com.cluster.local", "192.0.2.8")] });
    expect(chain.switchedOff).toHaveLength(1);
    expect(chain.knowledge.counters.absentBySchema.disagreements).toBe(2);
    await chain.asks("third.com.cluster.local");
    expect(chain.open()).toEqual(["third.com.cluster.local A"]);
  });

  test.each([
    ["SERVFAIL", { rcode: servfail }],
    ["REFUSED", { rcode: 5 }],
  ])("%s is no verdict", async (_, spec) => {
    const chain = createSearchWorld({ checkOneIn: 1 });
    await chain.asks(impossible);
    await chain.answers(`${impossible} A`, spec);
    expect(chain.switchedOff).toEqual([]);
  });

  test("silence is no verdict", async () => {
    const chain = createSearchWorld({ checkOneIn: 1 });
    await chain.asks(impossible);
    await chain.fails(`${impossible} A`);
    expect(chain.switchedOff).toEqual([]);
    expect((await chain.asks(impossible)).rcode()).toBe(nxdomain);
  });

  test("the rule is tried again after ten minutes, and looked at more often", async () => {
    const chain = createSearchWorld({ checkOneIn: 64 });
    for (let denied = 0; denied < 127; denied += 1) await chain.asks(`n${denied}.com.cluster.local`);
    expect(chain.open()).toEqual(["n126.com.cluster.local A"]);
    await chain.answers("n126.com.cluster.local A", { answers: [a("n126.com.cluster.local", "192.0.2.7")] });
    await chain.clock.advance(10 * 60_000 - 1);
    await chain.asks("early.com.cluster.local");
    expect(chain.open()).toEqual(["early.com.cluster.local A"]);
    await chain.answers("early.com.cluster.local A", denial);
    await chain.clock.advance(1);
    for (let denied = 0; denied < 64; denied += 1) {
      expect((await chain.asks(`m${denied}.com.cluster.local`)).rcode()).toBe(nxdomain);
    }
    // The first, and then one in eight instead of one in 64.
    expect(chain.open()).toHaveLength(8);
  });

  test("a learned denial that upstream contradicts while it still denies the parent switches the learned rule off", async () => {
    const chain = createSearchWorld({ checkOneIn: 1 });
    await learnDenial(chain, absentService);
    expect((await chain.asks(suffixed)).deniedForSeconds()).toBe(5);
    await chain.answers(`${suffixed} A`, { answers: [a(suffixed, "192.0.2.7")] });
    // Before it believes that, it asks for the parents again.
    expect(chain.switchedOff).toEqual([]);
    await chain.answers("default.svc.cluster.local A", nodata);
    await chain.answers(`${absentService} A`, denial);
    // And the name once more: two servers may lag each other.
    expect(chain.switchedOff).toEqual([]);
    await chain.answers(`${suffixed} A`, { answers: [a(suffixed, "192.0.2.7")] });
    expect(chain.switchedOff).toEqual([{ rule: "absentParent", name: suffixed }]);
    expect((await chain.asks(suffixed)).isCached()).toBe(true);
    // The other rule goes on.
    expect((await chain.asks(impossible)).rcode()).toBe(nxdomain);
  });

  test("a Service that was created meanwhile is no disagreement, and is seen at once", async () => {
    const chain = createSearchWorld({ checkOneIn: 1 });
    await learnDenial(chain, absentService);
    await chain.asks(suffixed);
    await chain.answers(`${suffixed} A`, { answers: [a(suffixed, "10.244.0.7")] });
    await chain.answers("default.svc.cluster.local A", nodata);
    await chain.answers(`${absentService} A`, { answers: [a(absentService, "10.96.0.7")] });
    expect(chain.switchedOff).toEqual([]);
    expect(chain.knowledge.counters.absentParent.disagreements).toBe(0);
    // What was found is what clients get from now on.
    expect((await chain.asks(absentService)).isCached()).toBe(true);
    expect((await chain.asks(suffixed)).isCached()).toBe(true);
    await chain.asks(`other.${absentService}`);
    expect(chain.open()).toEqual([`other.${absentService} A`]);
  });

  test("a namespace that was created meanwhile is no disagreement", async () => {
    const chain = createSearchWorld({ checkOneIn: 1 });
    await learnDenial(chain, "com.svc.cluster.local");
    await chain.asks("baidu.com.svc.cluster.local");
    await chain.answers("baidu.com.svc.cluster.local A", { answers: [a("baidu.com.svc.cluster.local", "10.96.0.7")] });
    await chain.answers("com.svc.cluster.local A", nodata);
    expect(chain.switchedOff).toEqual([]);
  });

  test("parents that cannot be asked are no disagreement", async () => {
    const chain = createSearchWorld({ checkOneIn: 1 });
    await learnDenial(chain, absentService);
    await chain.asks(suffixed);
    await chain.answers(`${suffixed} A`, { answers: [a(suffixed, "10.244.0.7")] });
    await chain.fails("default.svc.cluster.local A");
    await chain.answers(`${absentService} A`, { rcode: servfail });
    expect(chain.switchedOff).toEqual([]);
  });
});
