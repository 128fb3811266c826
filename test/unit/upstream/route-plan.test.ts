import { describe, expect, test } from "vitest";
import { planRoutes, type RoutePlan } from "../../../src/upstream/route-plan.ts";
import { routeChooser } from "../../../src/upstream/upstream.ts";
import { nameBytes } from "../../support/messages/messages.ts";

const clusterServers = [{ host: "10.96.0.10", port: 53 }];
const outsideServers = [{ host: "192.0.2.1", port: 53 }];
const stubServers = [{ host: "192.0.2.7", port: 5353 }];
const plan: RoutePlan = {
  clusterDomain: "cluster.local",
  reverseZones: ["10.in-addr.arpa", "ip6.arpa"],
  clusterServers,
  outsideServers,
  stubDomains: { "corp.example": stubServers, "Lab.Corp.Example": outsideServers },
  clusterTransport: "tcp",
  outsideTransport: "udp",
};

/** The name of the route for a name. */
function routeOf(name: string, chosen: RoutePlan = plan): string {
  return routeChooser(planRoutes(chosen))(nameBytes(name)).name;
}

describe("a plan", () => {
  test("gives the cluster its domain", () => {
    const [cluster] = planRoutes(plan);
    expect(cluster).toStrictEqual({
      name: "cluster",
      zones: [nameBytes("cluster.local")],
      servers: clusterServers,
      transport: "tcp",
    });
  });

  test("gives the reverse zones a route of their own to the cluster's servers, so that slow ones hold up no Service", () => {
    expect(planRoutes(plan).at(-1)).toStrictEqual({
      name: "reverse",
      zones: ["10.in-addr.arpa", "ip6.arpa"].map(nameBytes),
      servers: clusterServers,
      transport: "udp",
    });
    expect(planRoutes({ ...plan, reverseZones: [] }).map(({ name }) => name)).not.toContain("reverse");
  });

  test("gives each stub domain a route of its own name, whose zone is folded", () => {
    const stubs = planRoutes(plan).slice(1, -2);
    expect(stubs).toStrictEqual([
      { name: "corp.example", zones: [nameBytes("corp.example")], servers: stubServers, transport: "udp" },
      { name: "Lab.Corp.Example", zones: [nameBytes("lab.corp.example")], servers: outsideServers, transport: "udp" },
    ]);
  });

  test("gives everything else to the outside servers", () => {
    expect(planRoutes(plan).at(-2)).toStrictEqual({
      name: "outside",
      zones: [Uint8Array.of(0)],
      servers: outsideServers,
      transport: "udp",
    });
  });

  test("uses the cluster's servers for outside names if there are no others", () => {
    const routes = planRoutes({ ...plan, outsideServers: [] });
    expect(routes.at(-2)?.servers).toStrictEqual(clusterServers);
  });

  test("throws an error that names a domain that is not one", () => {
    expect(() => planRoutes({ ...plan, clusterDomain: "cluster..local" })).toThrow(
      '"cluster..local" is not a domain name',
    );
  });

  test.each([
    ["web.shop.svc.cluster.local", "cluster"],
    ["1.0.96.10.in-addr.arpa", "reverse"],
    ["a.corp.example", "corp.example"],
    ["a.lab.corp.example", "Lab.Corp.Example"],
    ["corp.example.com", "outside"],
    [".", "outside"],
  ])("sends %s to %s", (name, route) => {
    expect(routeOf(name)).toBe(route);
  });

  test("may have a stub domain below the cluster's, and one for everything", () => {
    const chosen = { ...plan, stubDomains: { "db.cluster.local": stubServers } };
    expect(routeOf("a.db.cluster.local", chosen)).toBe("db.cluster.local");
    expect(routeOf("a.cluster.local", chosen)).toBe("cluster");
  });
});
