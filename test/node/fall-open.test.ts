/*
 * What pods notice that ask nodens by an address of its own, while something happens to nodens: the kernel sends their questions on to
 * kube-dns. Each test has a node of its own, and most of its time is waiting.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, test, type TestContext } from "vitest";
import { createMemoryGroup } from "../support/node/control-groups.ts";
import { type BedHost, bedAddress, createNodeBed, type NodeBed } from "../support/node/node-bed.ts";
import { startNodensOnNode } from "../support/node/nodens-on-node.ts";
import { expectNoHole, type WatchedLookups, watchLookups } from "../support/node/watch-lookups.ts";
import { type CompiledClient, compileClient } from "../support/program/compile-client.ts";
import { describeWith } from "../support/program/requirements.ts";
import { until } from "../support/servers/scripted-upstream.ts";

const tools = ["CI=true", "root", "ip", "nft", "iptables-restore", "conntrack", "curl", "gcc", "dig", "mount"];
const timeout = 90_000;
const name = "web.default.svc.cluster.local";
const modes = [
  { mode: "link-local", asked: bedAddress.own, proxy: "iptables" },
  { mode: "link-local", asked: bedAddress.own, proxy: "nftables" },
  { mode: "host-ip", asked: bedAddress.node, proxy: "iptables" },
] as const;
type Mode = (typeof modes)[number];

describeWith(tools, "an address that falls open", () => {
  let client: CompiledClient;

  beforeAll(async () => {
    client = await compileClient("steady-lookups", "gcc");
  });
  afterAll(() => client?.remove());

  async function start({ mode, proxy }: Mode, onTestFinished: TestContext["onTestFinished"]) {
    const bed = await createNodeBed({ proxy, podCount: 2 });
    onTestFinished(() => bed.close());
    const nodens = await startNodensOnNode(bed, { mode });
    await until("pods' questions come to nodens", async () => (await nodens.metric("nodens_failopen")) === 0);
    return { bed, nodens };
  }

  function during(bed: NodeBed, { asked }: Mode, happen: () => unknown): Promise<WatchedLookups> {
    return watchLookups(bed, client.path, happen, asked);
  }

  test.concurrent.for(modes)(
    "$mode, kube-proxy with $proxy: killed with SIGKILL, pods ask kube-dns; started again, they ask nodens",
    { timeout },
    async (mode, { expect, onTestFinished }) => {
      const { bed, nodens } = await start(mode, onTestFinished);
      const seen = await during(bed, mode, () => nodens.process.kill("SIGKILL"));
      expectNoHole(seen);
      expect(seen.udp.wrongSource + seen.tcp.wrongSource).toBe(0);
      await nodens.stop();
      const again = await startNodensOnNode(bed, { mode: mode.mode });
      await until("pods' questions come to nodens", async () => (await again.metric("nodens_failopen")) === 0);
      expect(await lookUp(bed, mode)).toBe("10.96.0.7\n");
      await until("nodens answers pods", async () => {
        await lookUp(bed, mode);
        return ((await again.metric("coredns_dns_requests_total", 'proto="udp",family="1",type="A"')) ?? 0) > 0;
      });
    },
  );

  test.concurrent.for(modes)(
    "$mode, kube-proxy with $proxy: stopped with SIGSTOP, pods ask kube-dns; continued, they ask nodens",
    { timeout },
    async (mode, { expect, onTestFinished }) => {
      const { bed, nodens } = await start(mode, onTestFinished);
      const seen = await during(bed, mode, async () => {
        nodens.process.kill("SIGSTOP");
        await pause(4000);
        expect(await lookUp(bed, mode)).toBe("10.96.0.7\n");
        nodens.process.kill("SIGCONT");
      });
      expectNoHole(seen);
      await until("pods' questions come to nodens", async () => (await nodens.metric("nodens_failopen")) === 0);
    },
  );

  test.concurrent.for(modes)(
    "$mode, kube-proxy with $proxy: ended for good, at once by a second SIGTERM, pods ask kube-dns",
    { timeout },
    async (mode, { expect, onTestFinished }) => {
      const { bed, nodens } = await start(mode, onTestFinished);
      const seen = await during(bed, mode, async () => {
        nodens.process.kill("SIGTERM");
        nodens.process.kill("SIGTERM");
        await nodens.stop();
      });
      expectNoHole(seen);
      expect(await lookUp(bed, mode)).toBe("10.96.0.7\n");
    },
  );

  test.concurrent.for(modes)(
    "$mode, kube-proxy with $proxy: crashing before it is ready, again and again, pods ask kube-dns",
    { timeout },
    async (mode, { onTestFinished }) => {
      const { bed, nodens } = await start(mode, onTestFinished);
      const seen = await during(bed, mode, async () => {
        nodens.process.kill("SIGKILL");
        await nodens.stop();
        for (let round = 0; round < 2; round += 1) {
          // Without an upstream it never becomes ready.
          const doomed = await startNodensOnNode(bed, {
            mode: mode.mode,
            settings: {
              attach: { mode: mode.mode, virtualAddresses: [bedAddress.service] },
              upstream: { servers: ["10.245.1.99"] },
            },
            waitUntilAttached: false,
          });
          await until("it listens", () => doomed.output().includes("listening"));
          await pause(1000);
          doomed.process.kill("SIGKILL");
          await doomed.stop();
        }
      });
      expectNoHole(seen);
    },
  );

  test.concurrent.for([modes[0], modes[2]])(
    "$mode, kube-proxy with $proxy: killed by the kernel for want of memory, pods ask kube-dns",
    { timeout },
    async (mode, { expect, onTestFinished }) => {
      const { bed, nodens } = await start(mode, onTestFinished);
      // A mebibyte beyond what it has.
      const group = createMemoryGroup(2 ** 20);
      onTestFinished(() => group.remove());
      const seen = await during(bed, mode, async () => {
        writeFileSync(join(group.folder, "cgroup.procs"), String(nodens.process.pid));
        const isOver = () => nodens.process.exitCode !== null || nodens.process.signalCode !== null;
        await until("it takes more", async () => isOver() || (await nodens.metric("nodens_ready")) === -1, 30_000);
      });
      expect(nodens.process.signalCode).toBe("SIGKILL");
      // Perhaps together with a program that it had just started.
      expect(group.killedCount()).toBeGreaterThan(0);
      expectNoHole(seen);
      expect(await lookUp(bed, mode)).toBe("10.96.0.7\n");
    },
  );

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

  test.concurrent(
    "link-local: with its address taken from lo while it is dead, pods ask kube-dns",
    { timeout },
    async ({ expect, onTestFinished }) => {
      const [mode] = modes;
      const { bed, nodens } = await start(mode, onTestFinished);
      const seen = await during(bed, mode, async () => {
        nodens.process.kill("SIGKILL");
        await nodens.stop();
        const remove = ["address", "del", `${bedAddress.own}/32`, "dev", "lo"];
        expect((await bed.node.run("ip", remove)).code).toBe(0);
      });
      expectNoHole(seen);
    },
  );

  test.concurrent(
    "link-local: with all rules of the node flushed, its own come back, and kube-dns answers when it dies",
    { timeout },
    async ({ expect, onTestFinished }) => {
      const [mode] = modes;
      const { bed, nodens } = await start(mode, onTestFinished);
      expect((await bed.node.run("nft", ["flush", "ruleset"])).code).toBe(0);
      await bed.restoreProxy();
      await until(
        "the table is back",
        async () => {
          const { code } = await bed.node.run("nft", ["list", "table", "inet", "nodens"]);
          return code === 0;
        },
        8000,
      );
      nodens.process.kill("SIGKILL");
      await nodens.stop();
      await until("kube-dns answers", async () => (await lookUp(bed, mode)) === "10.96.0.7\n");
    },
  );

  test.concurrent.for(modes)(
    "$mode, kube-proxy with $proxy: ended with SIGTERM and started again, no lookup waits",
    { timeout },
    async (mode, { onTestFinished }) => {
      const { bed, nodens } = await start(mode, onTestFinished);
      const seen = await during(bed, mode, async () => {
        await nodens.stop();
        await pause(1000);
        await startNodensOnNode(bed, { mode: mode.mode });
      });
      expectNoHole(seen);
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
