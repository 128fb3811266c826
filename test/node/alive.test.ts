/*
 * What the probes of a pod see of a nodens on a node that lacks something: it is alive, so that nobody kills it, and not ready until
 * that is there.
 */
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { bedAddress, createNodeBed, type NodeBed } from "../support/node/node-bed.ts";
import { startNodensOnNode } from "../support/node/nodens-on-node.ts";
import { describeWith } from "../support/program/requirements.ts";
import { until } from "../support/servers/scripted-upstream.ts";

describeWith(["CI=true", "root", "ip", "nft", "iptables-restore", "setpriv"], "a nodens on a node", () => {
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
});

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
