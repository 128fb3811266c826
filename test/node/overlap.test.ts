/*
 * A rolling update: a second nodens starts beside the first, takes over, and the first ends; or, where it intercepts, the first
 * ends and another starts. Pods that look up all the while, with one attempt each, must notice nothing: not over UDP, not over
 * TCP, not for names that have to be asked upstream.
 */
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, test } from "vitest";
import { type CompiledClient, compileClient } from "../support/program/compile-client.ts";
import {
  bedAddress,
  type BedHost,
  bedTools,
  createNodeBed,
  type NodeBed,
  patienceMs,
} from "../support/node/node-bed.ts";
import type { ProxyStyle } from "../support/node/node-bed-proxy.ts";
import { type AttachMode, interceptTables, startNodensOnNode } from "../support/node/nodens-on-node.ts";
import { describeWith } from "../support/program/requirements.ts";
import { until } from "../support/servers/scripted-upstream.ts";
import { lookUpSteadily, type SteadyLookups } from "../support/node/steady-lookups.ts";
import { straightFlows } from "../support/node/straight-flows.ts";

const tools = [...bedTools, "dig", "nstat", "gcc"];
const cached = "web.default.svc.cluster.local";
const uncached = "x%.example.com";

/** How much comes in this time has room in the queue of a socket. */
const holdMs = 300;

const rows: readonly [AttachMode, ProxyStyle, string][] = [
  ["host-ip", "iptables", bedAddress.node],
  ["link-local", "nftables", bedAddress.own],
  ["intercept", "iptables", bedAddress.service],
  ["intercept", "nftables", bedAddress.service6],
];

describeWith(tools, "at 1,000 lookups a second not one is lost", () => {
  let client: CompiledClient;

  beforeAll(async () => {
    client = await compileClient("steady-lookups", "gcc");
  });
  afterAll(() => client?.remove());

  test.for(rows)(
    "when a second nodens takes over: attach.mode %s, kube-proxy with %s, pods ask %s",
    { timeout: 120_000 },
    async ([mode, proxy, server], { expect, onTestFinished }) => {
      const bed = await createNodeBed({ proxy, podCount: 2 });
      onTestFinished(() => bed.close());
      const first = await start(bed, mode);
      const { lost, cut } = await lookUpDuring(bed, server, async () => {
        const second = await start(bed, mode, 9254);
        await until("the second is in place", async () => (await second.metric("nodens_attached")) === 1, patienceMs);
        await pause(500);
        // Held for a moment, so that the kernel has much queued for it when it comes to its end.
        first.process.kill("SIGSTOP");
        await pause(holdMs);
        const ended = first.stop();
        first.process.kill("SIGCONT");
        expect(await ended).toBe(0);
      });
      expect({ lost, cut }).toEqual({ lost: 0, cut: 0 });
      if (mode !== "intercept") return;
      expect(await interceptTables(bed)).toHaveLength(1);
      expect(await straightFlows(bed)).toEqual([]);
    },
  );

  test(
    "when a second nodens takes over that intercepts one address less: attach.mode intercept",
    { timeout: 120_000 },
    async ({ expect, onTestFinished }) => {
      const bed = await createNodeBed({ proxy: "iptables", podCount: 2 });
      onTestFinished(() => bed.close());
      const first = await start(bed, "intercept", 9253, ["10.96.0.99", bedAddress.service]);
      const { lost, cut } = await lookUpDuring(bed, bedAddress.service, async () => {
        const second = await start(bed, "intercept", 9254, [bedAddress.service]);
        await until("the second is in place", async () => (await second.metric("nodens_attached")) === 1, patienceMs);
        await pause(1000);
        expect(await first.stop()).toBe(0);
      });
      expect({ lost, cut }).toEqual({ lost: 0, cut: 0 });
      expect(await straightFlows(bed)).toEqual([]);
    },
  );

  test(
    "when nodens ends and starts again, and pods ask kube-dns meanwhile: attach.mode intercept",
    { timeout: 120_000 },
    async ({ expect, onTestFinished }) => {
      const bed = await createNodeBed({ proxy: "iptables", podCount: 2 });
      onTestFinished(() => bed.close());
      const first = await start(bed, "intercept");
      const { lost, cut } = await lookUpDuring(bed, bedAddress.service, async () => {
        expect(await first.stop()).toBe(0);
        expect(await interceptTables(bed)).toEqual([]);
        await start(bed, "intercept");
      });
      expect({ lost, cut }).toEqual({ lost: 0, cut: 0 });
      expect((await straightFlows(bed)).length).toBeGreaterThan(0);
    },
  );

  function start(bed: NodeBed, mode: AttachMode, adminPort?: number, virtualAddresses: readonly string[] = []) {
    const settings = {
      attach: { mode, addresses: [bedAddress.own, bedAddress.own6], virtualAddresses },
      upstream: { servers: [bedAddress.service, bedAddress.service6] },
      // With a lame-duck time it would have read its queue long before it leaves.
      shutdown: { drainMs: 0 },
    };
    return startNodensOnNode(bed, { mode, settings, ...(adminPort === undefined ? {} : { adminPort }) });
  }

  /** Looks up before, while and after something happens: how many got no answer, how many something else than their answer. */
  async function lookUpDuring(bed: NodeBed, server: string, happen: () => Promise<void>) {
    // To a pod that nothing is known of, a burst before the first reply is one that may get none.
    for (const pod of bed.pods) await pod.run("dig", ["+short", "+tries=1", `@${server}`, cached]);
    const one = { server, waitMs: 5000, attempts: 1 };
    const running = [
      lookUp(bed, 0, { ...one, name: cached, perSecond: 1000 }),
      lookUp(bed, 1, { ...one, name: uncached, perSecond: 100 }),
      lookUp(bed, 1, { ...one, name: cached, perSecond: 100, transport: "tcp" }),
      lookUp(bed, 1, { ...one, name: uncached, perSecond: 50, transport: "tcp" }),
    ];
    await pause(1000);
    await happen();
    await pause(1000);
    const seen = await Promise.all(running.map((lookups) => lookups.end()));
    const failed = seen.reduce((sum, each) => sum + each.failed, 0);
    // What a machine that is busy with other things leaves in a full queue is no loss of ours. Mostly that is nothing.
    const lost = Math.max(0, failed - (await overflowed(bed)));
    return { lost, cut: seen.reduce((sum, { refused, wrongSource }) => sum + refused + wrongSource, 0) };
  }

  function lookUp({ pods }: NodeBed, index: number, lookups: SteadyLookups) {
    return lookUpSteadily(pods[index] as BedHost, client.path, lookups);
  }
});

/** Datagrams for which there was no room in the queue of their socket, on the node and at kube-dns. */
async function overflowed({ node, kubeDns }: NodeBed): Promise<number> {
  const counters = ["-asz", "UdpRcvbufErrors", "Udp6RcvbufErrors"];
  const outputs = await Promise.all([node, ...kubeDns].map((host) => host.run("nstat", counters)));
  const counts = outputs.flatMap(({ stdout }) => [...stdout.matchAll(/^Udp6?RcvbufErrors\s+(\d+)/gm)]);
  return counts.reduce((sum, [, count]) => sum + Number(count), 0);
}
