/*
 * nodens that only watches: what it would have answered and saved, how that stands to what pods got, and who waited.
 */
import { describe, expect, test } from "vitest";
import { buildPacket } from "../support/messages/ip-packets.ts";
import { a, aaaa, buildQuery, cname, soa } from "../support/messages/messages.ts";
import { queryFor } from "../support/messages/parsed-messages.ts";
import { createShadowWorld, type ShadowWorld } from "../support/world/create-shadow-world.ts";
import { denial, nodata, nxdomain, type TypeName, type UpstreamReply } from "../support/world/create-world.ts";

const web = "web.shop.svc.cluster.local";
const webReply: UpstreamReply = { answers: [a(web, "10.96.1.1")] };
let port = 1000;

/** A pod asks from a port of its own, and gets this reply. */
async function learns(world: ShadowWorld, name: string, reply: UpstreamReply, type: TypeName = "A"): Promise<void> {
  port += 1;
  const query = await world.asks(name, type, { port });
  await query.gets(reply);
}

/** A world whose zone has shown that it is CoreDNS's, and that it denies names and types. */
async function createShownWorld(): Promise<ShadowWorld> {
  const world = createShadowWorld();
  await learns(world, "none.shop.svc.cluster.local", denial);
  await learns(world, web, webReply);
  await learns(world, web, nodata, "AAAA");
  return world;
}

describe("what would have been saved", () => {
  test("the first question is asked, what comes within its TTL is not", async () => {
    const world = createShadowWorld();
    for (let turn = 0; turn < 5; turn += 1) await learns(world, web, webReply);
    const { queries, bySource, upstreamQuestions, savedQueries, verdicts, conntrackEntries } = world.picture();
    expect({ queries, upstreamQuestions, savedQueries }).toEqual({ queries: 5, upstreamQuestions: 1, savedQueries: 4 });
    expect(bySource).toMatchObject({ cache: 4, upstream: 1 });
    expect(verdicts.same).toBe(5);
    expect(conntrackEntries).toBe(5);
  });

  test("after its TTL the question is asked again", async () => {
    const world = createShadowWorld();
    await learns(world, web, webReply);
    await world.waits(31);
    await learns(world, web, webReply);
    expect(world.asked).toEqual([`${web} A`, `${web} A`]);
  });

  test("pods that ask at the same time share a question", async () => {
    const world = createShadowWorld();
    const first = await world.asks(web, "A", { client: "10.244.1.10" });
    const second = await world.asks(web, "A", { client: "10.244.1.11" });
    await second.gets(webReply);
    await first.gets(webReply);
    expect(world.asked).toEqual([`${web} A`]);
    expect(world.picture().verdicts.same).toBe(2);
  });

  test("names with a search suffix are denied by a rule once the zone has shown itself", async () => {
    const world = await createShownWorld();
    await learns(world, "www.example.com.svc.cluster.local", denial);
    await learns(world, "api.example.com.svc.cluster.local", denial);
    expect(world.asked).not.toContain("api.example.com.svc.cluster.local A");
    expect(world.picture().bySource).toMatchObject({ rule: 2 });
    expect(world.picture().verdicts.wrong).toBe(0);
  });

  test("no rule denies anything for a zone of the older kube-dns, whose SOA has other times", async () => {
    const world = createShadowWorld();
    const old = soa("cluster.local", 30, 30);
    old.data.set([0, 0, 0x70, 0x80], old.data.length - 16);
    for (const label of ["www", "api", "cdn"])
      await learns(world, `${label}.example.com.svc.cluster.local`, { rcode: nxdomain, authorities: [old] });
    expect(world.picture().bySource).toMatchObject({ rule: 0 });
  });

  test("an address that a cache on the node answers takes no entry of connection tracking", async () => {
    const world = createShadowWorld();
    const query = await world.asks(web, "A", { server: "169.254.20.10" });
    await query.gets(webReply);
    expect(world.picture()).toMatchObject({ queries: 1, conntrackEntries: 0 });
  });

  test("an address that asks itself, as nodens does to see whether it is answered, is not a pod", async () => {
    const world = createShadowWorld();
    const query = await world.asks(web, "A", { client: "169.254.20.10", server: "169.254.20.10" });
    await query.gets(webReply);
    expect(world.picture()).toMatchObject({ queries: 0, conntrackEntries: 0, unanswered: 0 });
  });

  test("TCP and IPv6 count as well", async () => {
    const world = createShadowWorld();
    await (await world.asks(web, "A", { overTcp: true })).gets(webReply);
    await (await world.asks(web, "A", { client: "fd44::10", server: "fd96::a" })).gets(webReply);
    const { queries, conntrackEntries, verdicts } = world.picture();
    expect({ queries, conntrackEntries, same: verdicts.same }).toEqual({ queries: 2, conntrackEntries: 2, same: 2 });
  });

  test("nothing is claimed of a query that got no reply", async () => {
    const world = createShadowWorld();
    await world.asks(web);
    await world.waits(20);
    expect(world.picture()).toMatchObject({ unanswered: 1, compared: 0 });
  });
});

describe("what would have been answered", () => {
  test("is the same whatever the order and the spelling", async () => {
    const world = createShadowWorld();
    const name = "www.example.com";
    const records = [
      cname(name, "edge.example.net"),
      a("edge.example.net", "192.0.2.1"),
      a("edge.example.net", "192.0.2.2"),
    ];
    await learns(world, name, { answers: records });
    await learns(world, "WWW.Example.com", { answers: records.toReversed() });
    expect(world.picture().verdicts.same).toBe(2);
  });

  test("is partial where the server gives a part by turns", async () => {
    const world = createShadowWorld();
    const name = "www.example.com";
    await learns(world, name, { answers: [a(name, "192.0.2.1"), a(name, "192.0.2.2")] });
    await learns(world, name, { answers: [a(name, "192.0.2.2"), a(name, "192.0.2.3")] });
    expect(world.picture().verdicts).toMatchObject({ same: 1, partial: 1, wrong: 0 });
  });

  test("has changed where upstream said it itself, and its TTL is not over", async () => {
    const world = createShadowWorld();
    await learns(world, web, webReply);
    await learns(world, web, { answers: [a(web, "10.96.9.9")] });
    expect(world.verdicts).toEqual([`${web} cache: changed`]);
  });

  test("has changed where a Service was made that upstream had denied", async () => {
    const world = createShadowWorld();
    await learns(world, web, denial);
    await learns(world, web, webReply);
    expect(world.verdicts).toEqual([`${web} cache: changed`]);
  });

  test("spares an error of upstream", async () => {
    const world = createShadowWorld();
    await learns(world, web, webReply);
    await learns(world, web, { rcode: 2 });
    expect(world.picture().verdicts).toMatchObject({ spared: 1, wrong: 0 });
  });

  test("cannot be compared with a reply that was cut", async () => {
    const world = createShadowWorld();
    await learns(world, web, webReply);
    await learns(world, web, { flags: 0x0200 });
    expect(world.picture().verdicts).toMatchObject({ truncated: 1, wrong: 0 });
  });

  test("a cut reply teaches nothing; what comes over TCP does", async () => {
    const world = createShadowWorld();
    const name = "big.example.com";
    await (await world.asks(name)).gets({ flags: 0x0200 });
    await (await world.asks(name, "A", { overTcp: true, port: 40_001 })).gets({ answers: [a(name, "192.0.2.1")] });
    await learns(world, name, { answers: [a(name, "192.0.2.1")] });
    expect(world.picture().bySource).toMatchObject({ cache: 1 });
    expect(world.picture().verdicts.wrong).toBe(0);
  });

  test("is an assumption where a parent was taken to be absent that exists, and only until that is seen", async () => {
    const world = await createShownWorld();
    await learns(world, "none.dev.svc.cluster.local", denial);
    await learns(world, "web.dev.svc.cluster.local", { answers: [a("web.dev.svc.cluster.local", "10.96.1.7")] });
    expect(world.verdicts).toEqual(["web.dev.svc.cluster.local rule: assumed"]);
    // The denial of the parent has a few seconds left; then it is known that the namespace is there.
    await world.waits(6);
    await learns(world, "none.dev.svc.cluster.local", denial);
    await learns(world, "api.dev.svc.cluster.local", { answers: [a("api.dev.svc.cluster.local", "10.96.1.8")] });
    expect(world.verdicts).toHaveLength(1);
    expect(world.picture().verdicts.wrong).toBe(0);
  });

  test("would be wrong, and is told, where nothing explains the difference", async () => {
    const world = createShadowWorld();
    await learns(world, web, webReply);
    // What the cache has is changed behind its back.
    const entry = world.chain.cache.find(queryFor(web, 1), world.clock.nowMs());
    if (entry !== undefined) entry.octets[entry.start + entry.sizeBytes - 1] = 99;
    await learns(world, web, webReply);
    expect(world.verdicts).toEqual([`${web} cache: wrong`]);
  });
});

describe("who waited", () => {
  test("without a reply to the first, and with one", async () => {
    const world = createShadowWorld();
    const lost = await world.asks(web, "A", { port: 40_001 });
    await world.waits(5);
    await lost.again();
    await lost.gets(webReply);
    const answered = await world.asks(web, "A", { port: 40_002 });
    await answered.gets(webReply);
    await world.waits(2.5);
    await answered.again();
    expect(world.picture().waits).toEqual([
      { after: "2.5s", first: "answered", count: 1 },
      { after: "5s", first: "waiting", count: 1 },
    ]);
    expect(world.picture().sentence).toContain("2 times a pod had to ask again");
  });

  test("a copy of the same packet from another interface is no repetition", async () => {
    const world = createShadowWorld();
    const query = await world.asks(web);
    await query.again();
    await query.gets(webReply);
    await query.gets(webReply);
    const { queries, waited, unanswered, copies } = world.picture();
    expect({ queries, waited, unanswered }).toEqual({ queries: 1, waited: 0, unanswered: 0 });
    expect(copies).toMatchObject({ used: 2, duplicate: 2, unmatched: 0 });
  });

  test("A and AAAA from one port, and the same query to two servers, are different queries", async () => {
    const world = createShadowWorld();
    await world.asks(web, "A", { id: 1 });
    await world.asks(web, "AAAA", { id: 1 });
    await world.asks(web, "A", { id: 1, server: "169.254.20.10" });
    expect(world.picture().copies).toMatchObject({ used: 3, duplicate: 0 });
  });
});

describe("what is not a question of a pod", () => {
  test("is counted and changes nothing else", async () => {
    const world = createShadowWorld();
    await world.sees(new Uint8Array(0), false);
    await world.sees(Uint8Array.of(0x45, 1, 2, 3), true);
    await world.passes({ payload: Uint8Array.of(1, 2, 3) }, false);
    await world.passes(
      { payload: Uint8Array.of(1, 2, 3), from: "10.96.0.10", to: "10.244.1.10", fromPort: 53, toPort: 9 },
      true,
    );
    await world.passes({ fragment: 0x2000, payload: new Uint8Array(40) }, false);
    expect(world.picture().copies).toMatchObject({ used: 0, malformed: 3, unmatched: 1, fragment: 1 });
    expect(world.picture().queries).toBe(0);
  });

  test("a reply to another question than was asked is not believed", async () => {
    const world = createShadowWorld();
    await world.asks(web, "AAAA");
    const other = await world.asks("api.shop.svc.cluster.local", "A", { port: 50_000 });
    await world.passes(
      { from: "10.96.0.10", to: "10.244.1.10", fromPort: 53, toPort: 40_000, payload: new Uint8Array(12) },
      true,
    );
    await other.gets({ answers: [aaaa("api.shop.svc.cluster.local", 1)] });
    expect(world.picture().copies).toMatchObject({ unmatched: 1 });
  });

  test("queries that nobody answers take bounded memory", async () => {
    const world = createShadowWorld();
    for (let turn = 0; turn < 17_000; turn += 1) {
      const payload = buildQuery(`name-${turn}.shop.svc.cluster.local`, 1, { id: turn });
      const packet = buildPacket({ payload, fromPort: 1024 + turn });
      world.shadow.take(packet, packet.length, false, world.clock.nowMs());
    }
    expect(world.picture().unanswered).toBe(17_000 - 16_384);
  });
});
