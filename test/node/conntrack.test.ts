/*
 * What 10,000 lookups of 20 pods leave in a node's connection tracking, straight and through nodens.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { type CompiledClient, compileClient } from "../support/program/compile-client.ts";
import { countFlows, type FlowCount, lookUpFromAllPods } from "../support/program/count-flows.ts";
import { bedAddress, bedTools, createNodeBed, type NodeBed } from "../support/node/node-bed.ts";
import { type AttachMode, startNodensOnNode } from "../support/node/nodens-on-node.ts";
import { describeWith } from "../support/program/requirements.ts";

const tools = [...bedTools, "unshare", "mount", "gcc", "musl-gcc"];
const lookups = 10_000;

for (const proxy of ["iptables", "nftables"] as const) {
  describeWith(tools, `10,000 lookups from 20 pods, kube-proxy with ${proxy}`, () => {
    let bed: NodeBed;
    const clients: CompiledClient[] = [];

    beforeAll(async () => {
      bed = await createNodeBed({ proxy, podCount: 20 });
      clients.push(await compileClient("getaddrinfo", "gcc"), await compileClient("getaddrinfo", "musl-gcc"));
    });
    afterAll(async () => {
      for (const client of clients) client.remove();
      await bed?.close();
    });

    test(
      "straight to kube-dns they are tens of thousands of entries, each with a port of the node",
      { timeout: 180_000 },
      async () => {
        const { entries, translated, sourcePorts, queries } = await count(bedAddress.service);
        expect(entries).toBeGreaterThan(20_000);
        expect(translated).toBe(entries);
        expect(sourcePorts).toBeGreaterThan(10_000);
        expect(queries).toBeGreaterThanOrEqual(entries);
      },
    );

    test.each<[AttachMode, string]>([
      ["host-ip", bedAddress.node],
      ["link-local", bedAddress.own],
      ["intercept", bedAddress.service],
    ])("with attach.mode %s they are at most 16 entries", { timeout: 180_000 }, async (mode, nameserver) => {
      const nodens = await startNodensOnNode(bed, { mode });
      try {
        const { entries, entriesOfPods, queries } = await count(nameserver);
        expect(entries).toBeLessThanOrEqual(16);
        expect(entries).toBeGreaterThan(0);
        expect(entriesOfPods).toBe(0);
        expect(queries).toBeGreaterThan(20_000);
      } finally {
        await nodens.stop();
      }
    });

    // What kube-proxy writes makes no difference to it.
    if (proxy === "iptables") {
      test(
        "with attach.mode host-ip and without NET_ADMIN they are as many entries, but at most 16 take a port of the node",
        { timeout: 180_000 },
        async () => {
          // One that had the right leaves its table behind.
          await bed.node.run("nft", ["delete", "table", "inet", "nodens"]);
          const nodens = await startNodensOnNode(bed, { mode: "host-ip", without: ["net_admin"] });
          try {
            const { entriesOfPods, translated, sourcePorts } = await count(bedAddress.node);
            expect(entriesOfPods).toBeGreaterThan(20_000);
            expect(translated).toBeLessThanOrEqual(16);
            expect(translated).toBeGreaterThan(0);
            expect(sourcePorts).toBeLessThanOrEqual(16);
          } finally {
            await nodens.stop();
          }
        },
      );
    }

    /** Every lookup must find what there is. */
    async function count(nameserver: string): Promise<FlowCount> {
      const { failed, ...flows } = await countFlows(bed, () =>
        lookUpFromAllPods(
          bed.pods,
          clients.map(({ path }) => path),
          nameserver,
          lookups,
        ),
      );
      expect(failed).toBe(0);
      return { failed, ...flows };
    }
  });
}
