import { describe, expect, onTestFinished, test, vi } from "vitest";
import type { ServerAddress } from "../../../src/runtime/server-address.ts";
import { upstreamOptionsOf } from "../../../src/app/parts-of-settings.ts";
import { defaultSettings } from "../../../src/settings/settings-table.ts";
import { createServerCounters, type ServerCounters } from "../../../src/upstream/server-counters.ts";
import { createUpstream, routeChooser, type RouteDefinition, type Upstream } from "../../../src/upstream/upstream.ts";
import type { ExchangeResult } from "../../../src/upstream/exchange-state.ts";
import type { Question } from "../../../src/wire/question.ts";
import { findFreePort } from "../../support/servers/free-port.ts";
import { createFakeClock } from "../../support/program/fake-clock.ts";
import { nameBytes, Type } from "../../support/messages/messages.ts";
import { until } from "../../support/servers/scripted-upstream.ts";
import { addressIn, answerAll, answerNothing, questionFor, startServer } from "../flows/flow-parts.ts";

describe("a name goes to the route with the longest zone that it is at or below", () => {
  const choose = routeChooser(
    [
      { name: "outside", zones: ["."] },
      { name: "cluster", zones: ["cluster.local", "10.in-addr.arpa"] },
      { name: "stub", zones: ["corp.example"] },
      { name: "stub below", zones: ["eu.corp.example"] },
      { name: "stub in the cluster", zones: ["db.cluster.local"] },
    ].map(({ name, zones }) => ({ name, zones: zones.map(nameBytes) })),
  );

  test.each([
    [".", "outside"],
    ["example", "outside"],
    ["example.com", "outside"],
    ["local", "outside"],
    ["cluster.local", "cluster"],
    ["web.shop.svc.cluster.local", "cluster"],
    ["xcluster.local", "outside"],
    ["cluster.local.example", "outside"],
    ["1.0.96.10.in-addr.arpa", "cluster"],
    ["1.0.0.110.in-addr.arpa", "outside"],
    ["corp.example", "stub"],
    ["a.corp.example", "stub"],
    ["eu.corp.example", "stub below"],
    ["a.b.eu.corp.example", "stub below"],
    ["xeu.corp.example", "stub"],
    ["db.cluster.local", "stub in the cluster"],
    ["a.db.cluster.local", "stub in the cluster"],
    // One label with a dot in it is not two labels.
    ["cluster\\.local", "outside"],
  ])("%s: %s", (name, route) => {
    expect(choose(nameBytes(name)).name).toBe(route);
  });

  test("a plan that leaves names without a route throws an error that says so", () => {
    const incomplete = routeChooser([{ zones: [nameBytes("cluster.local")] }]);
    expect(() => incomplete(nameBytes("example.com"))).toThrow("no route covers the root zone");
  });
});

/** An upstream of these routes, closed when the test ends. */
function create(
  routes: readonly (Omit<RouteDefinition, "zones" | "servers"> & { zones: string[]; ports: number[] })[],
) {
  const counters = new Map<string, ServerCounters>();
  const onHealthChange = vi.fn<(route: string, server: ServerAddress, isUp: boolean) => void>();
  const onAllDown = vi.fn<() => void>();
  const clock = createFakeClock();
  const upstream = createUpstream({
    routes: routes.map(({ ports, zones, ...route }) => ({
      ...route,
      zones: zones.map(nameBytes),
      servers: ports.map((port) => ({ host: "127.0.0.1", port })),
    })),
    exchange: { maxSends: 3, deadlineMs: 5000 },
    server: upstreamOptionsOf(defaultSettings(), []).server,
    clock,
    countersFor(route, server) {
      const created = createServerCounters();
      counters.set(`${route} ${server.port}`, created);
      return created;
    },
    onAllDown,
    onHealthChange,
  });
  onTestFinished(() => upstream.close());
  return { upstream, counters, onAllDown, onHealthChange, clock };
}

function resultOf(upstream: Upstream, question: Question): Promise<ExchangeResult> {
  return new Promise((tell) => upstream.ask(question, tell));
}

describe("an upstream", () => {
  test("asks each route's own servers over its own transport", async () => {
    const [cluster, outside] = [await startServer(answerAll), await startServer(answerAll)];
    const { upstream } = create([
      { name: "cluster", zones: ["cluster.local"], ports: [cluster.port], transport: "tcp" },
      { name: "outside", zones: ["."], ports: [outside.port], transport: "udp" },
    ]);
    const results = await Promise.all(
      ["web.shop.svc.cluster.local", "example.com"].map((name) => resultOf(upstream, questionFor(name))),
    );
    expect(results.map((result) => addressIn("reply" in result ? result.reply.packet : undefined))).toStrictEqual([
      "10.0.0.1",
      "10.0.0.1",
    ]);
    expect(cluster.received.map(({ protocol, name }) => `${protocol} ${name}`)).toStrictEqual([
      "tcp web.shop.svc.cluster.local",
    ]);
    expect(outside.received.map(({ protocol, name }) => `${protocol} ${name}`)).toStrictEqual(["udp example.com"]);
  });

  test("opens nothing before something is asked", async () => {
    const server = await startServer(answerAll);
    const { counters } = create([{ name: "outside", zones: ["."], ports: [server.port], transport: "tcp" }]);
    const [only] = counters.values();
    expect(only?.openedFlows).toStrictEqual({ udp: 0, tcp: 0 });
    expect(server.connections.size).toBe(0);
  });

  test("probes every server with its zone's SOA, or the root's NS", async () => {
    const [cluster, outside] = [await startServer(answerAll), await startServer(answerAll)];
    const { upstream } = create([
      { name: "cluster", zones: ["cluster.local", "10.in-addr.arpa"], ports: [cluster.port], transport: "tcp" },
      { name: "outside", zones: ["."], ports: [outside.port], transport: "udp" },
    ]);
    await upstream.probeAll();
    expect(cluster.probes.map(({ name, type }) => [name, type])).toStrictEqual([["cluster.local", Type.SOA]]);
    expect(outside.probes.map(({ name, type }) => [name, type])).toStrictEqual([[".", Type.NS]]);
  });

  test("reports which server of which route went down, and when it came back", async () => {
    const server = await startServer(answerNothing);
    const { upstream, onHealthChange, clock } = create([
      { name: "outside", zones: ["."], ports: [server.port], transport: "udp" },
    ]);
    const asked = resultOf(upstream, questionFor("a.test"));
    await clock.advance(5000);
    expect(await asked).toStrictEqual({ failure: "timeout" });
    const address = { host: "127.0.0.1", port: server.port };
    expect(onHealthChange.mock.calls).toStrictEqual([["outside", address, false]]);
    server.answerWith(answerAll);
    await until("a probe is answered", async () => {
      await clock.advance(50);
      return onHealthChange.mock.calls.length === 2;
    });
    expect(onHealthChange.mock.lastCall).toStrictEqual(["outside", address, true]);
  });

  test("ends every question as stopped when it is closed, and leaves no timer", async () => {
    const server = await startServer(answerNothing);
    const { upstream, clock } = create([
      { name: "cluster", zones: ["cluster.local"], ports: [server.port], transport: "tcp" },
      { name: "outside", zones: ["."], ports: [server.port], transport: "udp" },
    ]);
    const asked = ["a.cluster.local", "a.test"].map((name) => resultOf(upstream, questionFor(name)));
    await until("both have arrived", () => server.received.length === 2);
    upstream.close();
    expect(await Promise.all(asked)).toStrictEqual([{ failure: "stopped" }, { failure: "stopped" }]);
    expect(clock.pendingTimers()).toBe(0);
  });

  test("reports that no server of a route is up, and asks all the same", async () => {
    const { upstream, onAllDown } = create([
      { name: "outside", zones: ["."], ports: [await findFreePort()], transport: "udp" },
    ]);
    // A closed port is known at once.
    await upstream.probeAll();
    expect(onAllDown).not.toHaveBeenCalled();
    void resultOf(upstream, questionFor("example.com"));
    expect(onAllDown).toHaveBeenCalledOnce();
  });
});
