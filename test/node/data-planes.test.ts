/*
 * Data planes that translate the kube-dns Service before nodens's rules see a packet. Interception catches nothing there and breaks nothing,
 * an address of nodens's own does not fall open, and nodens says so.
 */
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { bedAddress, type BedHost, bedTools, createNodeBed, type NodeBed } from "../support/node/node-bed.ts";
import { startNodensOnNode } from "../support/node/nodens-on-node.ts";
import { startSocketLoadBalancer } from "../support/node/socket-load-balancer.ts";
import { straightFlows } from "../support/node/straight-flows.ts";
import { type CompiledClient, compileClient } from "../support/program/compile-client.ts";
import { describeWith } from "../support/program/requirements.ts";
import { until } from "../support/servers/scripted-upstream.ts";

// The last one is there where the kernel has eBPF.
const bpf = "/proc/sys/kernel/unprivileged_bpf_disabled";
const tools = [...bedTools, "gcc", "dig", "mount", bpf];
const name = "web.default.svc.cluster.local";
const tenMinutesMs = 600_000;
/** What nodens waits for replies to its own question before it says that there are none. */
const threeTriesMs = 3500;

describeWith(tools, "where sockets are translated by eBPF", () => {
  let program: CompiledClient;
  beforeAll(async () => {
    program = await compileClient("socket-load-balancer", "gcc");
  });
  afterAll(() => program?.remove());

  test("mode intercept: pods are answered past nodens, and nodens says that it sees none, until questions come", async () => {
    const bed = await createNodeBed({ proxy: "iptables", podCount: 2 });
    onTestFinished(() => bed.close());
    const [pod, dns] = [bed.pods[0], bed.kubeDns[0]] as [BedHost, BedHost];
    const plane = await startSocketLoadBalancer(program.path, bedAddress.service, dns.address);
    onTestFinished(() => plane.remove());
    const nodens = await startNodensOnNode(bed, { mode: "intercept", hasMovableClock: true });
    const ask = async (transport: string, before: readonly string[]) => {
      const [first, ...rest] = [...before, "dig", "+short", transport, "+tries=1", `@${bedAddress.service}`, name];
      return (await pod.run(first, rest)).stdout;
    };
    /** Counters are read three seconds after the interception is in force again, which a leap of the clock interrupts. */
    const afterLeap = async (metric: string, label: string) => {
      await nodens.moveClock({ monotonicMs: tenMinutesMs });
      await pause(4000);
      return nodens.metric(metric, label);
    };
    for (const transport of ["+notcp", "+tcp"]) expect(await ask(transport, plane.inCgroup)).toBe("10.96.0.7\n");
    expect(await straightFlows(bed)).toEqual([]);
    expect(await nodens.metric("nodens_intercept_packets_total", '"intercepted"')).toBe(0);
    expect(await nodens.metric("nodens_setup_errors_total", '"unseen"')).toBe(0);
    const isSaid = async () => (await afterLeap("nodens_setup_errors_total", '"unseen"')) === 1;
    await until("it says that it sees none", isSaid, 30_000);
    expect(nodens.output()).toMatch(/"kind":"unseen".*no question of a pod has come in ten minutes of intercepting/);
    expect(await nodens.metric("nodens_attached")).toBe(1);
    expect(await ask("+notcp", [])).toBe("10.96.0.7\n");
    const seesOne = async () => ((await afterLeap("nodens_intercept_packets_total", '"intercepted"')) ?? 0) > 0;
    await until("it sees one", seesOne, 30_000);
    await until("it says so", () => nodens.output().includes("no longer: no question of a pod"), 10_000);
  }, 90_000);

  test.each([
    ["link-local", bedAddress.own],
    ["host-ip", bedAddress.node],
  ] as const)(
    "mode %s: nodens tells that nobody answers pods without it, unless netfilter translates too",
    async (mode, asked) => {
      const bed = await createNodeBed({ proxy: "iptables", podCount: 1 });
      onTestFinished(() => bed.close());
      const [pod, dns] = [bed.pods[0], bed.kubeDns[0]] as [BedHost, BedHost];
      const plane = await startSocketLoadBalancer(program.path, bedAddress.service, dns.address);
      onTestFinished(() => plane.remove());
      const ask = async () => (await pod.run("dig", ["+short", "+tries=1", "+time=1", `@${asked}`, name])).stdout;
      await bed.node.run("iptables", ["-t", "nat", "-F"]);
      const nodens = await startNodensOnNode(bed, { mode, startedBy: plane.inCgroup });
      onTestFinished(async () => void (await nodens.stop()));
      await until("it tells", async () => (await nodens.metric("nodens_has_fallback")) === 0, 30_000);
      const isSaid = () => /would not be answered: .* sent on to 10\.96\.0\.10 was not/.test(nodens.output());
      await until("it says so", isSaid, 10_000);
      expect(await ask()).toBe("10.96.0.7\n");
      nodens.process.kill("SIGKILL");
      await nodens.stop();
      expect([await ask(), await ask()]).not.toContain("10.96.0.7\n");
      await bed.restoreProxy();
      const again = await startNodensOnNode(bed, { mode, startedBy: plane.inCgroup });
      onTestFinished(async () => void (await again.stop()));
      await until("a question was sent on", async () => (await sentOn(bed)).includes(asked), 30_000);
      await pause(threeTriesMs);
      expect(await again.metric("nodens_has_fallback")).toBe(1);
      again.process.kill("SIGKILL");
      await again.stop();
      await until("kube-dns answers", async () => (await ask()) === "10.96.0.7\n", 5000);
    },
    90_000,
  );
});

/** Who asked what the table of own addresses sent on to the Service. */
async function sentOn(bed: NodeBed): Promise<string> {
  return (await bed.node.run("nft", ["list", "set", "inet", "nodens", "moved_udp_0"])).stdout;
}
