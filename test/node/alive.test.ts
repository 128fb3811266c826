/*
 * What the probes of a pod see of a nodens that is in need of something: it is alive, so that nobody kills it. It is not ready until what it
 * lacks is there.
 */
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { bedAddress, type BedHost, createNodeBed, type NodeBed } from "../support/node/node-bed.ts";
import { startNodensOnNode } from "../support/node/nodens-on-node.ts";
import { lookUpSteadily } from "../support/node/steady-lookups.ts";
import { compileClient } from "../support/program/compile-client.ts";
import { describeWith } from "../support/program/requirements.ts";
import { until } from "../support/servers/scripted-upstream.ts";

describeWith(["CI=true", "root", "ip", "nft", "iptables-restore", "setpriv", "gcc"], "a nodens on a node", () => {
  test("is alive while the cache that it replaces has its address, and takes the address over", async () => {
    const bed = await startBed();
    await bed.node.run("ip", ["address", "add", `${bedAddress.own}/32`, "dev", "lo"]);
    const script = `require("dgram").createSocket("udp4").bind(53, "${bedAddress.own}", () => console.log("bound"))`;
    const other = bed.node.start(process.execPath, ["-e", script]);
    await once(other.stdout as NonNullable<typeof other.stdout>, "data");
    const nodens = await startNodensOnNode(bed, { mode: "link-local", waitUntilAttached: false });
    await until("it says so", () => nodens.output().includes("the address is in use by another program"));
    await expectAliveAndNotReady(nodens);
    other.kill("SIGKILL");
    await until("it is ready", () => nodens.isReady(), 20_000);
  });

  test("is alive without NET_ADMIN", async () => {
    const nodens = await startNodensOnNode(await startBed(), {
      mode: "link-local",
      waitUntilAttached: false,
      without: ["net_admin"],
    });
    await until("it says so", () => nodens.output().includes("NET_ADMIN"));
    await expectAliveAndNotReady(nodens);
  });

  test("is alive in a flood of one pod, and answers the others what it has", { timeout: 90_000 }, async () => {
    const bed = await createNodeBed({ proxy: "iptables", podCount: 2 });
    onTestFinished(() => bed.close());
    const clients = await Promise.all(["flood", "steady-lookups"].map((name) => compileClient(name, "gcc")));
    onTestFinished(() => clients.forEach((client) => client.remove()));
    const [flood, steady] = clients.map(({ path }) => path) as [string, string];
    const nodens = await startNodensOnNode(bed, { mode: "link-local" });
    const [flooding, other] = bed.pods as [BedHost, BedHost];
    const hit = { name: "web.default.svc.cluster.local", perSecond: 20, waitMs: 250, attempts: 60 };
    const lookups = lookUpSteadily(other, steady, { ...hit, server: bedAddress.own });
    let isFlooding = true;
    const flooded = flooding
      .run(flood, [bedAddress.own, "53", String(floodPerSecond), String(floodSeconds)])
      .finally(() => (isFlooding = false));
    const touches = new Set<number>();
    let oldestMs = 0;
    while (isFlooding) {
      const ageMs = nodens.aliveAgeMs() ?? Infinity;
      oldestMs = Math.max(oldestMs, ageMs);
      touches.add(Math.round((Date.now() - ageMs) / 100));
      await delay(50);
    }
    const seen = await lookups.end();
    expect(Number((await flooded).stdout)).toBeGreaterThan(floodPerSecond);
    expect(oldestMs).toBeLessThan(probesAllowMs);
    // A loop that starves touches the file before and after, if at all.
    expect(touches.size).toBeGreaterThan(2);
    expect({ failed: seen.failed, answered: seen.answered }).toEqual({ failed: 0, answered: seen.started });
    expect(nodens.isReady()).toBe(true);
  });
});

/** Names that nobody has asked before: more than nodens answers on a processor of its own. */
const floodPerSecond = 100_000;
const floodSeconds = 5;
/** What the probe of a pod takes for a hang. */
const probesAllowMs = 10_000;

async function startBed(): Promise<NodeBed> {
  const bed = await createNodeBed({ proxy: "iptables", podCount: 1 });
  onTestFinished(() => bed.close());
  return bed;
}

type Nodens = Awaited<ReturnType<typeof startNodensOnNode>>;

async function expectAliveAndNotReady(nodens: Nodens): Promise<void> {
  // Touched in the meantime: the probes allow 10 s.
  await delay(3000);
  expect(nodens.aliveAgeMs()).toBeLessThan(3000);
  expect(nodens.isReady()).toBe(false);
}
