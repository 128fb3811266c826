/*
 * Who is answered by kube-dns at an address of nodens's own, beside pods (faults.test.ts): programs of the node. And what becomes of it
 * without NET_ADMIN.
 */
import { setTimeout as pause } from "node:timers/promises";
import { test, type TestContext } from "vitest";
import {
  bedAddress,
  type BedHost,
  bedTools,
  createNodeBed,
  type NodeBed,
  patienceMs,
} from "../support/node/node-bed.ts";
import { startNodensOnNode } from "../support/node/nodens-on-node.ts";
import { describeWith } from "../support/program/requirements.ts";
import { until } from "../support/servers/scripted-upstream.ts";

const tools = [...bedTools, "dig"];
const timeout = 180_000;
const name = "web.default.svc.cluster.local";
const modes = [
  { mode: "link-local", asked: bedAddress.own, proxy: "iptables" },
  { mode: "link-local", asked: bedAddress.own, proxy: "nftables" },
  { mode: "host-ip", asked: bedAddress.node, proxy: "iptables" },
] as const;
type Mode = (typeof modes)[number];

describeWith(tools, "an address that falls open", () => {
  async function start({ mode, proxy }: Mode, onTestFinished: TestContext["onTestFinished"]) {
    const bed = await createNodeBed({ proxy, podCount: 2 });
    onTestFinished(() => bed.close());
    const nodens = await startNodensOnNode(bed, { mode });
    await until("pods' questions come to nodens", async () => (await nodens.metric("nodens_failopen")) === 0);
    return { bed, nodens };
  }

  test.concurrent.for(modes)(
    "$mode, kube-proxy with $proxy: killed, programs of the node itself are answered by kube-dns; started again, by nodens",
    { timeout },
    async (mode, { expect, onTestFinished }) => {
      const { bed, nodens } = await start(mode, onTestFinished);
      const ask = async (transport: string, version: string) => {
        const args = ["+short", transport, "+tries=2", "+time=3", `@${mode.asked}`, version, "TXT"];
        return (await bed.node.run("dig", args)).stdout;
      };
      // What only kube-dns is asked for shows who answered: nodens counts what it is asked.
      const counted = async () => {
        const seen = ['proto="udp",family="1",type="TXT"', 'proto="tcp",family="1",type="TXT"'].map((labels) =>
          nodens.metric("coredns_dns_requests_total", labels),
        );
        return (await Promise.all(seen)).reduce<number>((sum, count) => sum + (count ?? 0), 0);
      };
      const version = "dns-version.cluster.local";
      const answers = await Promise.all(["+notcp", "+tcp"].map((transport) => ask(transport, version)));
      expect(answers).toEqual([expect.stringMatching(/^"\d/), expect.stringMatching(/^"\d/)]);
      await until("nodens counts both", async () => (await counted()) === 2);
      nodens.process.kill("SIGKILL");
      await nodens.stop();
      await pause(2100);
      for (const transport of ["+notcp", "+tcp", "+notcp"]) expect(await ask(transport, version)).toMatch(/^"\d/);
      if (mode.proxy === "iptables") {
        // Where kube-proxy leaves the sources of the node's own packets as they are.
        await bed.node.run("iptables", ["-t", "nat", "-F", "KUBE-POSTROUTING"]);
        await bed.node.run("conntrack", ["-F"]);
        for (const transport of ["+notcp", "+tcp"]) expect(await ask(transport, version)).toMatch(/^"\d/);
      }
      const again = await startNodensOnNode(bed, { mode: mode.mode });
      await until("questions come to nodens", async () => (await again.metric("nodens_failopen")) === 0);
      expect(await ask("+notcp", version)).toMatch(/^"\d/);
      await until("nodens counts it", async () => {
        const count = await again.metric("coredns_dns_requests_total", 'proto="udp",family="1",type="TXT"');
        return (count ?? 0) > 0;
      });
    },
  );

  test.concurrent.for(modes)(
    "$mode, kube-proxy with $proxy: while it is not ready pods are answered by kube-dns, however long",
    { timeout },
    async (mode, { expect, onTestFinished }) => {
      const bed = await createNodeBed({ proxy: mode.proxy, podCount: 1 });
      onTestFinished(() => bed.close());
      const nodens = await startNodensOnNode(bed, {
        mode: mode.mode,
        settings: {
          attach: { mode: mode.mode, virtualAddresses: [bedAddress.service] },
          // Nobody is there.
          upstream: { servers: ["10.245.1.99"] },
        },
        waitUntilAttached: false,
      });
      await until("it listens", () => nodens.output().includes("listening"), patienceMs);
      // It looks at its own sockets once a second.
      for (let time = 0; time < 10; time += 1) {
        expect(await lookUp(bed, mode)).toBe("10.96.0.7\n");
        await pause(500);
      }
      expect(nodens.isReady()).toBe(false);
      expect(await nodens.metricSum("coredns_dns_requests_total", 'type="A"')).toBe(0);
    },
  );

  test(
    "host-ip without NET_ADMIN works as before, and says what that costs",
    { timeout },
    async ({ expect, onTestFinished }) => {
      const bed = await createNodeBed({ proxy: "iptables", podCount: 1 });
      onTestFinished(() => bed.close());
      const nodens = await startNodensOnNode(bed, { mode: "host-ip", without: ["net_admin"] });
      const mode = modes[2];
      expect(await lookUp(bed, mode)).toBe("10.96.0.7\n");
      expect(nodens.output()).toContain("without the capability NET_ADMIN");
      expect(await nodens.metric("nodens_attached")).toBe(1);
      expect(await nodens.metric("nodens_failopen")).toBe(0);
    },
  );
});

async function lookUp({ pods }: NodeBed, { asked }: Mode): Promise<string> {
  const [pod] = pods as [BedHost];
  const { stdout } = await pod.run("dig", ["+short", "+tries=2", "+time=3", `@${asked}`, name]);
  return stdout;
}
