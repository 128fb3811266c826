/*
 * Who is denied what: A and AAAA share a denial inside the cluster zone and under the suffixes, where names are denied and not types, and
 * nowhere else.
 */
import { describe, expect, test } from "vitest";
import { a, aaaa, cname, soa, txt } from "../support/messages/messages.ts";
import {
  createWorld,
  learn,
  nxdomain,
  type TypeName,
  type UpstreamReply,
  type World,
} from "../support/world/create-world.ts";

const inside = "web.default.svc.cluster.local";
const outside = "www.example.com";
const deniedInside: UpstreamReply = { rcode: nxdomain, authorities: [soa("cluster.local", 30, 30)] };
const deniedOutside: UpstreamReply = { rcode: nxdomain, authorities: [soa("example.com", 30, 30)] };
const nodataInside: UpstreamReply = { authorities: [soa("cluster.local", 30, 30)] };

/** The rcode of a reply from the cache, or "asked" where upstream is asked. */
async function fate(world: World, name: string, type: TypeName): Promise<number | "asked"> {
  const asked = await world.asks(name, type);
  return asked.isWaiting() ? "asked" : asked.reply().rcode;
}

describe("inside the cluster zone", () => {
  test.each<[TypeName, TypeName]>([
    ["A", "AAAA"],
    ["AAAA", "A"],
  ])("C10, P2: NXDOMAIN for %s denies %s as well, with the same SOA", async (learned, other) => {
    const world = createWorld();
    await learn(world, inside, learned, deniedInside);
    const reply = (await world.asks(inside, other)).reply();
    expect(reply).toMatchObject({ rcode: nxdomain, answers: [], authorities: [{ name: "cluster.local", ttl: 5 }] });
    expect(world.upstream.received).toHaveLength(1);
  });

  test.each<TypeName>(["HTTPS", "CNAME", "SVCB"])(
    "C10, P2: and %s, which programs ask for the same host",
    async (type) => {
      const world = createWorld();
      await learn(world, inside, "A", deniedInside);
      expect(await fate(world, inside, type)).toBe(nxdomain);
    },
  );

  test.each<TypeName>(["SRV", "TXT", "ANY"])("C10: and not %s", async (type) => {
    const world = createWorld();
    await learn(world, inside, "A", deniedInside);
    expect(await fate(world, inside, type)).toBe("asked");
  });

  test.each<TypeName>(["SRV", "HTTPS"])("C10: NXDOMAIN for %s denies no address", async (type) => {
    const world = createWorld();
    await learn(world, inside, type, deniedInside);
    expect(await fate(world, inside, type)).toBe(nxdomain);
    expect(await fate(world, inside, "A")).toBe("asked");
  });

  test("C10, P6: names below a denied name are asked for", async () => {
    const world = createWorld();
    await learn(world, inside, "A", deniedInside);
    expect(await fate(world, `pod-0.${inside}`, "A")).toBe("asked");
  });

  test("C11: names below svc.cluster.local are asked for after svc.cluster.local was denied", async () => {
    const world = createWorld();
    await learn(world, "svc.cluster.local", "A", deniedInside);
    const asked = await world.asks("x.svc.cluster.local", "A");
    await world.upstream.answers({ answers: [a("x.svc.cluster.local", "10.96.0.1")] });
    expect(asked.reply().answers).toHaveLength(1);
    expect(world.upstream.received).toHaveLength(2);
  });

  test("an alias to an absent name denies its own type only: the alias exists", async () => {
    const world = createWorld();
    await learn(world, inside, "A", { ...deniedInside, answers: [cname(inside, "gone.cluster.local", 30)] });
    expect(await fate(world, inside, "A")).toBe(nxdomain);
    expect(await fate(world, inside, "AAAA")).toBe("asked");
  });

  test("NODATA for one type says nothing of the other", async () => {
    const world = createWorld();
    await learn(world, inside, "AAAA", nodataInside);
    expect(await fate(world, inside, "AAAA")).toBe(0);
    expect(await fate(world, inside, "A")).toBe("asked");
  });

  test("a denial lives at most 5 s, whatever its SOA says, and shows no more", async () => {
    const world = createWorld();
    const reply = await learn(world, inside, "A", { rcode: nxdomain, authorities: [soa("cluster.local", 900, 900)] });
    expect(reply.authorities[0]?.ttl).toBe(5);
    await world.passes(4.999);
    expect(await fate(world, inside, "AAAA")).toBe(nxdomain);
    await world.passes(0.001);
    expect(await fate(world, inside, "AAAA")).toBe("asked");
  });

  test("NODATA lives at most 5 s too", async () => {
    const world = createWorld();
    await learn(world, inside, "AAAA", nodataInside);
    await world.passes(5);
    expect(await fate(world, inside, "AAAA")).toBe("asked");
  });

  test("a denial of less than 5 s keeps its own life", async () => {
    const world = createWorld();
    await learn(world, inside, "A", { rcode: nxdomain, authorities: [soa("cluster.local", 2, 2)] });
    await world.passes(2);
    expect(await fate(world, inside, "A")).toBe("asked");
  });

  test("data of the cluster is not bounded by the life of denials", async () => {
    const world = createWorld();
    await learn(world, inside, "A", { answers: [a(inside, "10.96.0.1", 30)] });
    await world.passes(20);
    expect(await fate(world, inside, "A")).toBe(0);
  });
});

describe("P2: a zone that has not shown that it denies names and not types", () => {
  test.each([
    ["the cluster's", inside, "cluster.local"],
    ["a suffix's", "db.corp.internal", "corp.internal"],
  ])("%s: NXDOMAIN for AAAA, seen first, does not deny A", async (_, name, zone) => {
    const world = createWorld({ suffixes: ["corp.internal"], showsNameDenials: false });
    await learn(world, name, "AAAA", { rcode: nxdomain, authorities: [soa(zone, 30, 30)] });
    const asked = await world.asks(name, "A");
    await world.upstream.answers({ answers: [a(name, "10.1.2.3", 30)] });
    expect(asked.hasData()).toBe(true);
    expect(await fate(world, name, "AAAA")).toBe(nxdomain);
  });

  test("A and AAAA do not wait for each other there", async () => {
    const world = createWorld({ showsNameDenials: false });
    await world.asks(inside, "AAAA");
    await world.asks(inside, "A");
    expect(world.open()).toEqual([`${inside} AAAA`, `${inside} A`]);
  });

  test("NODATA shows it, and from then on NXDOMAIN is shared", async () => {
    const world = createWorld({ showsNameDenials: false });
    await learn(world, "db.default.svc.cluster.local", "AAAA", nodataInside);
    await learn(world, inside, "AAAA", deniedInside);
    expect(await fate(world, inside, "A")).toBe(nxdomain);
  });

  test("NODATA of nobody's does not show it", async () => {
    const world = createWorld({ showsNameDenials: false });
    await learn(world, "db.default.svc.cluster.local", "AAAA", {});
    await learn(world, inside, "AAAA", deniedInside);
    expect(await fate(world, inside, "A")).toBe("asked");
  });

  test("a name that is denied for one type and exists by the other shows the contrary", async () => {
    const world = createWorld();
    await learn(world, "db.default.svc.cluster.local", "A", {
      answers: [a("db.default.svc.cluster.local", "10.1.2.3")],
    });
    await learn(world, "db.default.svc.cluster.local", "AAAA", deniedInside);
    await learn(world, inside, "AAAA", deniedInside);
    expect(await fate(world, inside, "A")).toBe("asked");
  });

  test("what lies below the zone shares nothing: it may be served by somebody else", async () => {
    const world = createWorld();
    const name = "db.corp.cluster.local";
    await learn(world, name, "AAAA", { rcode: nxdomain, authorities: [soa("corp.cluster.local", 30, 30)] });
    expect(await fate(world, name, "A")).toBe("asked");
  });
});

describe("P2: news withdraw a shared denial", () => {
  /** A takes so long that AAAA, which waits for it, is asked as well; AAAA is denied first, then `news` comes for A. */
  async function deniedThen(news: UpstreamReply): Promise<World> {
    const world = createWorld();
    await world.asks(inside, "A");
    await world.asks(inside, "AAAA");
    await world.passes(0.25);
    await world.upstream.answers(deniedInside, { type: "AAAA" });
    await world.upstream.answers(news, { type: "A" });
    return world;
  }

  test("data: the other type is asked for again", async () => {
    const world = await deniedThen({ answers: [a(inside, "10.96.0.1", 30)] });
    expect(await fate(world, inside, "A")).toBe(0);
    expect(await fate(world, inside, "AAAA")).toBe("asked");
  });

  test("NODATA: the other type is asked for again", async () => {
    const world = await deniedThen(nodataInside);
    expect(await fate(world, inside, "A")).toBe(0);
    expect(await fate(world, inside, "AAAA")).toBe("asked");
  });

  test("data that is not kept, for its TTL is 0", async () => {
    const world = await deniedThen({ answers: [a(inside, "10.96.0.1", 0)] });
    expect(await fate(world, inside, "A")).toBe("asked");
    expect(await fate(world, inside, "AAAA")).toBe("asked");
  });

  test("NODATA that is not kept, for its SOA has TTL 0", async () => {
    const world = await deniedThen({ authorities: [soa("cluster.local", 0, 0)] });
    expect(await fate(world, inside, "A")).toBe("asked");
    expect(await fate(world, inside, "AAAA")).toBe("asked");
  });

  test("a failure does not", async () => {
    const world = await deniedThen({ rcode: 2 });
    expect(await fate(world, inside, "AAAA")).toBe(nxdomain);
  });

  test.each<[TypeName, UpstreamReply, TypeName]>([
    ["A", { answers: [a(inside, "10.96.0.1", 30)] }, "AAAA"],
    ["AAAA", { answers: [aaaa(inside, 1, 30)] }, "A"],
    ["A", { answers: [a(inside, "10.96.0.1", 0)] }, "AAAA"],
  ])(
    "a denial that comes last is for its own type: %s exists, %o, for a server that denies %s",
    async (type, data, other) => {
      const world = createWorld();
      await learn(world, inside, type, data);
      await learn(world, inside, other, deniedInside);
      const ttl = data.answers?.[0]?.ttl;
      expect(await fate(world, inside, type)).toBe(ttl === 0 ? "asked" : 0);
      expect(await fate(world, inside, other)).toBe(nxdomain);
    },
  );

  test("NODATA seen for one type stays NODATA when the other is denied, under a suffix of the node too", async () => {
    for (const name of [inside, "db.corp.internal"]) {
      const world = createWorld({ suffixes: ["corp.internal"] });
      await learn(world, name, "A", { authorities: [soa(".", 30, 30)] });
      await learn(world, name, "AAAA", { rcode: nxdomain, authorities: [soa(".", 30, 30)] });
      expect(await fate(world, name, "A")).toBe(0);
      expect(await fate(world, name, "AAAA")).toBe(nxdomain);
    }
  });

  test("a name that existed is denied for both types once each was denied", async () => {
    const world = createWorld();
    await learn(world, inside, "A", { answers: [a(inside, "10.96.0.1", 4)] });
    await world.passes(4);
    await learn(world, inside, "AAAA", deniedInside);
    await learn(world, inside, "A", deniedInside);
    await world.passes(1);
    expect(await fate(world, inside, "HTTPS")).toBe(nxdomain);
  });

  test("text at the name does not, for it is no address", async () => {
    const world = createWorld();
    await learn(world, inside, "A", deniedInside);
    await learn(world, inside, "TXT", { answers: [txt(inside, "x")] });
    expect(await fate(world, inside, "A")).toBe(nxdomain);
  });
});

describe("outside the cluster zone", () => {
  test.each<[TypeName, TypeName]>([
    ["A", "AAAA"],
    ["AAAA", "A"],
  ])("C10, P2: NXDOMAIN for %s says nothing of %s", async (learned, other) => {
    const world = createWorld();
    await learn(world, outside, learned, deniedOutside);
    expect(await fate(world, outside, learned)).toBe(nxdomain);
    expect(await fate(world, outside, other)).toBe("asked");
  });

  test("P2: a pair of an address and NXDOMAIN for AAAA is relayed as it is, and kept as it is", async () => {
    const world = createWorld();
    await world.asks(outside, "A");
    await world.asks(outside, "AAAA");
    await world.upstream.answers({ answers: [a(outside, "192.0.2.1", 30)] });
    await world.upstream.answers(deniedOutside);
    expect(await fate(world, outside, "A")).toBe(0);
    expect(await fate(world, outside, "AAAA")).toBe(nxdomain);
  });

  test("a denial keeps the life of its SOA, up to half an hour", async () => {
    const world = createWorld();
    const reply = await learn(world, outside, "A", { rcode: nxdomain, authorities: [soa("com", 86_400, 86_400)] });
    expect(reply.authorities[0]?.ttl).toBe(1800);
    await world.passes(1799.9);
    expect(await fate(world, outside, "A")).toBe(nxdomain);
    await world.passes(0.1);
    expect(await fate(world, outside, "A")).toBe("asked");
  });

  test("a name that only ends alike is outside", async () => {
    const world = createWorld();
    await learn(world, "web.xcluster.local", "A", { rcode: nxdomain, authorities: [soa("xcluster.local", 30, 30)] });
    await world.passes(6);
    expect(await fate(world, "web.xcluster.local", "A")).toBe(nxdomain);
    expect(await fate(world, "web.xcluster.local", "AAAA")).toBe("asked");
  });

  test("data replaces a denial once the denial has expired", async () => {
    const world = createWorld();
    await learn(world, outside, "AAAA", deniedOutside);
    await world.passes(30);
    await learn(world, outside, "AAAA", { answers: [aaaa(outside, 1, 30)] });
    expect(await fate(world, outside, "AAAA")).toBe(0);
  });
});
