/*
 * Who asks, for what, where it ends, and what that spares kube-dns and the node: planted traffic whose figures can be computed by hand.
 */
import { describe, expect, test } from "vitest";
import { a } from "../support/messages/messages.ts";
import { type AskDetails, createWorld, denial, type TypeName, type World } from "../support/world/create-world.ts";
import { sampleWorld } from "../support/world/sampled-world.ts";

const web = "web.shop.svc.cluster.local";
const reply = { answers: [a(web, "10.96.1.1")] };

/** Asks, and is answered. */
async function asks(world: World, name: string, type: TypeName, details: AskDetails): Promise<void> {
  await world.asks(name, type, details);
  while (world.open().length > 0)
    await world.upstream.settlesAll((text) => (text.startsWith("absent") ? denial : reply));
}

let turn = 0;

/** A and AAAA of `times` names as a resolver sends them. */
async function looksUp(world: World, client: string, library: "musl" | "glibc" | "Go", times: number): Promise<void> {
  for (let time = 0; time < times; time += 1) {
    turn += 1;
    const [port, id] = [20_000 + turn * 2, (turn * 7919) & 0xffff];
    const second = {
      musl: { port, id: (id + 300) & 0xffff },
      glibc: { port, id: (id + 30_000) & 0xffff },
      Go: { port: port + 1, id: (id + 30_000) & 0xffff, opt: { udpSize: 1232 } },
    }[library];
    await asks(world, web, "A", { client, ...second, port, id });
    await asks(world, web, "AAAA", { client, ...second });
    // A third query of a name within a second would belong to no pair.
    await world.passes(2);
  }
}

describe("of each client is told", () => {
  test("how much it asks, and the shares that were answered here, denied, and denied under a suffix", async () => {
    const world = createWorld({ showsSchema: true });
    const { picture } = sampleWorld(world);
    for (let second = 0; second < 10; second += 1) {
      for (let time = 0; time < 6; time += 1)
        await asks(world, web, "A", { client: "10.0.0.7", port: 1 + time, id: turn++ });
      for (let time = 0; time < 2; time += 1)
        await asks(world, "absent.shop.svc.cluster.local", "A", { client: "10.0.0.7", port: 9 + time, id: turn++ });
      await world.passes(1);
    }
    const [client, ...others] = picture().clients;
    expect(others).toEqual([]);
    expect(client).toMatchObject({ client: "10.0.0.7", waited: 0, nxdomainShare: 0.25, wasteShare: 0.25 });
    expect(client?.perSecond).toBeCloseTo(8, 0);
    expect(client?.hitShare).toBeGreaterThan(0.9);
  });

  test.each(["musl", "glibc", "Go"] as const)("that it looks like %s, by how it sends A and AAAA", async (library) => {
    const world = createWorld();
    const { picture } = sampleWorld(world);
    await looksUp(world, "10.0.0.7", library, 12);
    expect(picture().clients[0]?.library).toBe(library);
  });

  test("nothing of the kind before it has asked often", async () => {
    const world = createWorld();
    const { picture } = sampleWorld(world);
    await looksUp(world, "10.0.0.7", "musl", 4);
    expect(picture().clients[0]?.library).toBe("");
  });

  test("that it looks like musl where all that shows is that it asked again after 2.5 s, and what it waited for", async () => {
    const world = createWorld();
    const { picture } = sampleWorld(world);
    for (let time = 0; time < 2; time += 1) {
      await asks(world, web, "A", { client: "10.0.0.7", id: 7 });
      await world.passes(2.5);
    }
    expect(picture().clients[0]).toMatchObject({ library: "musl", waited: 1, lastWait: "2.5 s, answered" });
  });

  test("less and less once it has stopped asking", async () => {
    const world = createWorld();
    const { picture } = sampleWorld(world);
    for (let second = 0; second < 60; second += 1) {
      for (let id = 0; id < 8; id += 1) await asks(world, web, "A", { client: "10.0.0.7", port: second + 1, id });
      await world.passes(1);
    }
    const before = picture().clients[0]?.perSecond ?? 0;
    await world.passes(60);
    const after = picture().clients[0]?.perSecond ?? 0;
    expect(before).toBeCloseTo(8, 0);
    expect(after / before).toBeLessThan(0.5);
    expect(after).toBeGreaterThan(0);
  });
});

test("names are told by how often they are asked, with the share that is denied", async () => {
  const world = createWorld();
  const { picture } = sampleWorld(world);
  for (let id = 0; id < 30; id += 1) {
    await asks(world, web, "A", { port: 100 + id, id });
    if (id % 3 === 0) await asks(world, "absent.shop.svc.cluster.local", "A", { port: 200 + id, id });
  }
  expect(picture().names.map(({ name, nxdomainShare }) => [name, nxdomainShare])).toEqual([
    [web, 0],
    ["absent.shop.svc.cluster.local", 1],
  ]);
});

describe("what is saved", () => {
  test("is what pods asked less what went upstream, and their sockets less the flows that were opened", async () => {
    const world = createWorld();
    const { planted, picture } = sampleWorld(world);
    for (let second = 0; second < 20; second += 1) {
      // A pair from one socket, and two queries from sockets of their own.
      const port = 1000 + second * 10;
      await asks(world, web, "A", { client: "10.0.0.7", port, id: port });
      await asks(world, web, "AAAA", { client: "10.0.0.7", port, id: port + 1 });
      for (let own = 1; own <= 2; own += 1)
        await asks(world, web, "A", { client: "10.0.0.8", port: port + own, id: port + own });
      planted.servers.cluster.sends.tcp += 1;
      if (second % 10 === 0) planted.servers.cluster.openedFlows.tcp += 1;
      await world.passes(1);
    }
    const { queriesPerSecond, sends, saved } = picture();
    expect(queriesPerSecond).toBeCloseTo(4, 0);
    expect(sends.kubeDns).toBeCloseTo(1, 1);
    expect(saved.queriesPerSecond).toBeCloseTo(3, 0);
    // Three sockets a second, less a flow in ten seconds.
    expect(saved.conntrackEntriesPerSecond).toBeGreaterThan(2.5);
    expect(saved.conntrackEntriesPerSecond).toBeLessThan(3.2);
  });

  test("is told with where lookups ended: cache, rules, kube-dns, outside", async () => {
    const world = createWorld({ showsSchema: true });
    const { picture } = sampleWorld(world);
    await asks(world, web, "A", { port: 1, id: 1 });
    for (let id = 0; id < 5; id += 1) await asks(world, web, "A", { port: 10 + id, id });
    for (let id = 0; id < 3; id += 1)
      await asks(world, "www.example.com.shop.svc.cluster.local", "A", { port: 20 + id, id });
    await asks(world, "www.example.com", "A", { port: 30, id: 1 });
    await world.passes(1);
    const { flow } = picture();
    const counts = Object.fromEntries(Object.entries(flow).map(([ending, { perSecond }]) => [ending, perSecond]));
    const one = counts["kube-dns"] ?? 0;
    expect(one).toBeGreaterThan(0);
    expect(counts).toEqual({ cache: one * 5, rules: one * 3, "kube-dns": one, outside: one, stale: 0, error: 0 });
  });
});
