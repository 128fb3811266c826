/*
 * What pods notice while nodens intercepts their questions and what it needs fails: its nft process, its servers, kube-dns. What happens
 * to nodens itself is in faults.test.ts. Each test has a node of its own, and most of its time is waiting.
 */
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, test, type TestContext } from "vitest";
import { type CompiledClient, compileClient } from "../support/program/compile-client.ts";
import {
  bedAddress,
  type BedHost,
  bedTools,
  createNodeBed,
  type NodeBed,
  startKubeDns,
} from "../support/node/node-bed.ts";
import { blackhole } from "../support/node/kube-dns-faults.ts";
import type { ProxyStyle } from "../support/node/node-bed-proxy.ts";
import { interceptingTables, interceptTables, startNodensOnNode } from "../support/node/nodens-on-node.ts";
import { childrenOf } from "../support/program/process-children.ts";
import { describeWith } from "../support/program/requirements.ts";
import { until } from "../support/servers/scripted-upstream.ts";
import { logLookups, monotonicMs } from "../support/node/logged-lookups.ts";
import { straightFlows } from "../support/node/straight-flows.ts";
import { expectNoHole, type WatchedLookups, watchLookups } from "../support/node/watch-lookups.ts";

const tools = [...bedTools, "dig", "gcc"];
const timeout = 90_000;

type OnFinished = TestContext["onTestFinished"];

describeWith(tools, "attach.mode intercept", () => {
  let client: CompiledClient;

  beforeAll(async () => {
    client = await compileClient("steady-lookups", "gcc");
  });
  afterAll(() => client?.remove());

  async function start(onTestFinished: OnFinished, proxy: ProxyStyle = "iptables") {
    const bed = await createNodeBed({ proxy, podCount: 2 });
    onTestFinished(() => bed.close());
    return { bed, nodens: await startNodensOnNode(bed, { mode: "intercept" }) };
  }

  function during(bed: NodeBed, happen: () => unknown): Promise<WatchedLookups> {
    return watchLookups(bed, client.path, happen);
  }

  test.concurrent(
    "with its nft process killed, pods ask kube-dns, and it makes the table anew",
    { timeout },
    async ({ expect, onTestFinished }) => {
      const { bed, nodens } = await start(onTestFinished);
      const tables = await interceptTables(bed);
      const seen = await during(bed, () => {
        for (const pid of childrenOf(nodens.process.pid ?? 0)) process.kill(pid, "SIGKILL");
      });
      expectNoHole(seen);
      await until("it intercepts again", async () => (await interceptingTables(bed)) === 1);
      expect(await interceptTables(bed)).toEqual(tables);
      expect(nodens.output()).toContain("nft has ended");
      await until("the metric tells", async () => (await nodens.metric("nodens_setup_errors_total", '"nft"')) === 1);
    },
  );

  test.concurrent(
    "with servers of its own that fall silent, pods ask the Service, and come back with the servers",
    { timeout },
    async ({ expect, onTestFinished }) => {
      const bed = await createNodeBed({ proxy: "iptables", podCount: 2 });
      onTestFinished(() => bed.close());
      const [dns] = bed.kubeDns as [BedHost];
      const other = { address: "10.245.1.77", address6: "fd45:1::77" };
      await dns.run("ip", ["addr", "add", `${other.address}/24`, "dev", "eth0"]);
      await dns.run("ip", ["addr", "add", `${other.address6}/64`, "dev", "eth0", "nodad"]);
      await startKubeDns(dns, other);
      const attach = { mode: "intercept", virtualAddresses: [bedAddress.service] };
      const settings = { attach, upstream: { servers: [other.address] } };
      const nodens = await startNodensOnNode(bed, { mode: "intercept", settings });
      // Somebody has to ask for it to be noticed.
      await during(bed, async () => {
        await blackhole(bed, dns, other.address);
        await until("it gives way", async () => (await interceptingTables(bed)) === 0);
      });
      expectNoHole(await during(bed, () => {}));
      expect(await nodens.metric("nodens_failopen")).toBe(1);
      for (const host of [dns, bed.node]) await host.run("nft", ["flush", "ruleset"]);
      await bed.restoreProxy();
      await until("it intercepts again", async () => (await interceptingTables(bed)) === 1, 30_000);
    },
  );

  test.concurrent(
    "with every kube-dns server cut off, it holds its place, gives stale answers, and blames no firewall",
    { timeout },
    async ({ expect, onTestFinished }) => {
      const { bed, nodens, pod } = await startWithoutKubeDns(onTestFinished);
      const lookups = await logLookups(pod, client.path, { ...asked, seconds: 10 }).ended;
      expect(lookups.filter(({ rcode }) => rcode !== 0)).toEqual([]);
      expect(await straightFlows(bed)).toEqual([]);
      expect(await interceptingTables(bed)).toBe(1);
      expect(await nodens.metricSum("coredns_cache_served_stale_total", "")).toBeGreaterThan(0);
      expect(nodens.output()).not.toContain("firewall");
    },
  );

  test.concurrent(
    "with every kube-dns server cut off, pods are handed to the Service all the same when it hangs, and come back by themselves",
    { timeout },
    async ({ expect, onTestFinished }) => {
      const { bed, nodens, pod } = await startWithoutKubeDns(onTestFinished);
      const load = logLookups(pod, client.path, { ...asked, seconds: 60 });
      await pause(3000);
      const stoppedAtMs = monotonicMs();
      nodens.process.kill("SIGSTOP");
      await until("questions go to the Service", async () => (await straightFlows(bed)).length > 0);
      await pause(1000);
      const lookups = (await load.end()).filter(({ startedAtMs }) => startedAtMs >= stoppedAtMs);
      const handedOver = (await straightFlows(bed)).length;
      expect(handedOver).toBeGreaterThan(0);
      // Two seconds' worth, and as much again for what is counted late.
      expect(lookups.length - handedOver).toBeLessThan(4 * asked.perSecond);
      nodens.process.kill("SIGCONT");
      await until("it intercepts again", async () => (await interceptingTables(bed)) === 1);
      const askOnce = () => logLookups(pod, client.path, { ...asked, perSecond: 1, seconds: 1 }).ended;
      await until("the pod is answered", async () => (await askOnce()).every(({ rcode }) => rcode === 0));
      const before = (await straightFlows(bed)).length;
      const after = await logLookups(pod, client.path, { ...asked, seconds: 1 }).ended;
      expect(after.filter(({ rcode }) => rcode !== 0)).toEqual([]);
      expect(await straightFlows(bed)).toHaveLength(before);
    },
  );

  /** A nodens that has had the name that is asked, which has expired since, and whose servers are all cut off. */
  async function startWithoutKubeDns(onTestFinished: OnFinished) {
    const ttlSeconds = 1;
    const bed = await createNodeBed({ proxy: "iptables", podCount: 1, ttlSeconds });
    onTestFinished(() => bed.close());
    const [pod] = bed.pods as [BedHost];
    // A node tracks connections long before nodens comes.
    await bed.node.run("dig", ["+short", `@${bedAddress.service}`, asked.name]);
    const nodens = await startNodensOnNode(bed, { mode: "intercept" });
    const [first] = await logLookups(pod, client.path, { ...asked, perSecond: 1, seconds: 1 }).ended;
    if (first?.rcode !== 0) throw new Error(`nodens does not answer: ${nodens.output()}`);
    await Promise.all(bed.kubeDns.map((dns) => blackhole(bed, dns)));
    await pause(ttlSeconds * 1000);
    return { bed, nodens, pod };
  }
});

/** What a pod asks for while there is no kube-dns. */
const asked = { server: bedAddress.service, name: "web.default.svc.cluster.local", perSecond: 20 };
