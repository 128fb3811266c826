/*
 * nodens that only watches, on a node with pods, kube-proxy's rules and connection tracking: what it says of real clients, beside what the kernel
 * has counted, and that nothing on the node is touched.
 */
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import type { ShadowPicture } from "../../src/shadow/picture.ts";
import { buildCoredns, startCorednsOnNode } from "../support/node/coredns-on-node.ts";
import {
  bedAddress,
  type BedHost,
  bedTools,
  createNodeBed,
  type NodeBed,
  type NodeBedOptions,
} from "../support/node/node-bed.ts";
import { type NodensOnNode, startNodensOnNode } from "../support/node/nodens-on-node.ts";
import { type CompiledClient, compileClient } from "../support/program/compile-client.ts";
import { lookUpFromAllPods } from "../support/program/count-flows.ts";
import { describeWith } from "../support/program/requirements.ts";
import { until } from "../support/servers/scripted-upstream.ts";

const tools = [...bedTools, "dig", "unshare", "mount", "gcc", "musl-gcc", "setpriv"];
const timeout = 120_000;
const settings = { upstream: { servers: [bedAddress.service, bedAddress.service6] } };

describeWith(tools, "attach.mode observe", () => {
  const clients: CompiledClient[] = [];
  let steady: CompiledClient;

  beforeAll(async () => {
    clients.push(await compileClient("getaddrinfo", "gcc"), await compileClient("getaddrinfo", "musl-gcc"));
    steady = await compileClient("steady-lookups", "gcc");
  });
  afterAll(() => {
    for (const client of [...clients, steady]) client?.remove();
  });

  const paths = () => clients.map(({ path }) => path);

  describe.each(["iptables", "nftables"] as const)("with kube-proxy's %s", (proxy) => {
    test("tells what kube-dns and connection tracking would be spared, and is never wrong", { timeout }, async () => {
      const { bed, nodens } = await watchedBed({ proxy, podCount: 2 });
      const before = await nodeState(bed);
      const { failed } = await lookUpFromAllPods(bed.pods, paths(), bedAddress.service, 400);
      const { failed: failed6 } = await lookUpFromAllPods(bed.pods, paths(), bedAddress.service6, 40);
      expect(failed + failed6).toBe(0);
      const told = await pictureOf(bed, ({ compared }) => compared >= 2000);
      expect(told.verdicts).toMatchObject({ wrong: 0, unheard: 0, spared: 0 });
      expect(told.compared).toBe(told.queries);
      expect(told.copies).toMatchObject({ dropped: 0, malformed: 0, unmatched: 0, lost_stream: 0 });
      expect(told.isComplete).toBe(true);
      expect(told.waits).toEqual([]);
      expect(told.savedShare).toBeGreaterThan(0.9);
      // What the kernel has counted is what nodens tells.
      expect(told.conntrackEntries).toBe(await entriesOfPods(bed));
      // Nothing was sent by nodens, and nothing was changed.
      expect(await entriesOf(bed, bedAddress.node)).toBe(0);
      expect(await nodeState(bed)).toEqual(before);
      expect(await nodens.metric("nodens_shadow_replies_total", 'verdict="same"')).toBeGreaterThan(0);
      expect(await nodens.metric("nodens_upstream_flows_opened_total")).toBe(0);
    });
  });

  test("TCP counts as well", { timeout }, async () => {
    const { bed } = await watchedBed({ proxy: "iptables", podCount: 1 });
    for (let turn = 0; turn < 3; turn += 1) await dig(podOf(bed), bedAddress.service, ["+tcp"]);
    const told = await pictureOf(bed, ({ compared }) => compared >= 3);
    expect(told).toMatchObject({ queries: 3, conntrackEntries: 3, bySource: { cache: 2, upstream: 1 } });
  });

  describe("a pod that waits today", () => {
    test("without a reply: it is lost before it comes to the pod's link", { timeout }, async () => {
      const { bed } = await watchedBed({ proxy: "iptables", podCount: 2 });
      await dropOnce(bed.node, "forward", `ip daddr ${podOf(bed).address} udp sport 53`);
      // musl asks again after 2.5 s.
      await lookUpFromAllPods([podOf(bed)], [paths()[1] ?? ""], bedAddress.service, 1);
      const told = await pictureOf(bed, ({ waited }) => waited > 0);
      expect(told.waits).toContainEqual({ after: "2.5s", first: "waiting", count: expect.any(Number) as number });
      expect(told.sentence).toMatch(/a pod had to ask again/);
      expect(told.verdicts.wrong).toBe(0);
      const { stdout } = await bed.node.run("curl", ["-s", "http://127.0.0.1:9253/top?tab=waits"]);
      expect(stdout).toContain(podOf(bed).address);
    });

    test("although a reply had passed: it is lost behind the link", { timeout }, async () => {
      const { bed } = await watchedBed({ proxy: "iptables", podCount: 2 });
      await dropOnce(podOf(bed), "input", "udp sport 53");
      // glibc asks again after 5 s.
      await lookUpFromAllPods([podOf(bed)], [paths()[0] ?? ""], bedAddress.service, 1);
      const told = await pictureOf(bed, ({ waited }) => waited > 0);
      expect(told.waits).toContainEqual({ after: "5s", first: "answered", count: expect.any(Number) as number });
    });
  });

  test(
    "beside a CoreDNS that is set up as NodeLocal DNSCache, whose packets are not tracked",
    { timeout },
    async () => {
      const { bed } = await watchedBed({ proxy: "nftables", podCount: 2 }, async (made) => {
        await startCorednsOnNode(made, await buildCoredns());
      });
      const { failed } = await lookUpFromAllPods(bed.pods, paths(), bedAddress.own, 200);
      expect(failed).toBe(0);
      const told = await pictureOf(bed, ({ compared }) => compared >= 900);
      expect(told.conntrackEntries).toBe(0);
      expect(told.verdicts).toMatchObject({ wrong: 0, unheard: 0 });
      expect(told.compared).toBe(told.queries);
      expect(told.savedShare).toBeGreaterThan(0.8);
    },
  );

  test("where pods hang on a bridge, each packet counts once", { timeout }, async () => {
    const { bed } = await watchedBed({ proxy: "iptables", podCount: 2 }, hangOnBridge);
    const { failed } = await lookUpFromAllPods(bed.pods, paths(), bedAddress.service, 100);
    expect(failed).toBe(0);
    const told = await pictureOf(bed, ({ compared }) => compared >= 200);
    expect(told.compared).toBe(told.queries);
    expect(told).toMatchObject({ waits: [], unanswered: 0, verdicts: { wrong: 0 } });
    expect(told.conntrackEntries).toBe(await entriesOfPods(bed));
  });

  test("copies that find no room are told", { timeout }, async () => {
    const { bed, nodens } = await watchedBed({ proxy: "iptables", podCount: 1 });
    nodens.process.kill("SIGSTOP");
    const load = [bedAddress.service, "53", "web.default.svc.cluster.local", "2000", "3", "500", "1"];
    await podOf(bed).run(steady.path, load);
    nodens.process.kill("SIGCONT");
    const told = await pictureOf(bed, ({ copies }) => copies.dropped > 0);
    expect(told.isComplete).toBe(false);
    expect(told.sentence).toMatch(/copies were dropped/);
    expect(told.verdicts.wrong).toBe(0);
  });

  test("without NET_RAW it is not ready, says why, and disturbs nobody", { timeout }, async () => {
    const bed = await createNodeBed({ proxy: "iptables", podCount: 1 });
    onTestFinished(() => bed.close());
    const nodens = await startNodensOnNode(bed, {
      mode: "observe",
      settings,
      without: ["net_raw"],
      waitUntilAttached: false,
    });
    await until("nodens says so", () => nodens.output().includes("the capability NET_RAW is missing"), 30_000);
    expect(nodens.isReady()).toBe(false);
    await until("it says so on its page", async () => {
      const { stdout } = await bed.node.run("curl", ["-s", "http://127.0.0.1:9253/readyz"]);
      return stdout.includes("NET_RAW");
    });
    expect(await nodens.metric("nodens_setup_errors_total", 'kind="permission"')).toBe(1);
    expect(await nodens.stop()).toBe(0);
  });
});

/** A bed on which nodens watches, without NET_ADMIN. */
async function watchedBed(
  options: NodeBedOptions,
  prepare: (bed: NodeBed) => Promise<void> = async () => {},
): Promise<{ bed: NodeBed; nodens: NodensOnNode }> {
  const bed = await createNodeBed(options);
  onTestFinished(() => bed.close());
  await prepare(bed);
  const nodens = await startNodensOnNode(bed, { mode: "observe", settings, without: ["net_admin"] });
  return { bed, nodens };
}

/** What the page tells, once it is as far as `isReached` says. */
async function pictureOf(bed: NodeBed, isReached: (told: ShadowPicture) => boolean): Promise<ShadowPicture> {
  let told: ShadowPicture | undefined;
  await until(
    "nodens has seen it",
    async () => {
      const { stdout } = await bed.node.run("curl", ["-s", "--max-time", "5", "http://127.0.0.1:9253/observe"]);
      told = stdout === "" ? undefined : (JSON.parse(stdout) as ShadowPicture);
      return told !== undefined && isReached(told);
    },
    30_000,
  ).catch((error: Error) => {
    throw new Error(`${error.message}; it tells ${JSON.stringify(told)}`);
  });
  if (told === undefined) throw new Error("nodens tells nothing");
  return told;
}

function podOf(bed: NodeBed): BedHost {
  const [pod] = bed.pods;
  if (pod === undefined) throw new Error("a bed without pods");
  return pod;
}

function dig(pod: BedHost, server: string, more: readonly string[]) {
  return pod.run("dig", ["+tries=1", "+time=3", ...more, `@${server}`, "web.default.svc.cluster.local"]);
}

/** Drops the first packet that matches, where it passes this hook. */
async function dropOnce(host: BedHost, hook: string, match: string): Promise<void> {
  const rules = `table ip lose {
  chain lose {
    type filter hook ${hook} priority 10
    ${match} limit rate over 1/day burst 1 packets accept
    ${match} drop
  }
}
`;
  const { code, stderr } = await host.run("nft", ["-f", "-"], rules);
  if (code !== 0) throw new Error(stderr);
}

/** What nodens could have changed: addresses, rules, the sockets of the node. */
async function nodeState(bed: NodeBed): Promise<string> {
  const addresses = await bed.node.run("ip", ["-brief", "address"]);
  const rules = await bed.node.run("nft", ["--stateless", "list", "ruleset"]);
  return addresses.stdout + rules.stdout;
}

/** Entries of connection tracking that pods' questions have begun. */
async function entriesOfPods(bed: NodeBed): Promise<number> {
  const counts = await Promise.all(
    bed.pods.flatMap(({ address, address6 }) => [entriesOf(bed, address), entriesOf(bed, address6)]),
  );
  return counts.reduce((sum, count) => sum + count, 0);
}

async function entriesOf(bed: NodeBed, address: string): Promise<number> {
  const family = address.includes(":") ? "ipv6" : "ipv4";
  const { stdout } = await bed.node.run("conntrack", ["-L", "-f", family, "--orig-src", address]);
  return stdout.split("\n").filter((line) => line.includes("dport=53 ")).length;
}

/** Puts the pods' links on one bridge, as the bridge plugin of CNI does. */
async function hangOnBridge(bed: NodeBed): Promise<void> {
  const lines = [
    "link add cbr0 type bridge",
    "addr add 10.244.1.1/32 dev cbr0",
    "link set cbr0 up",
    ...bed.pods.flatMap(({ address }, index) => [
      `addr del 10.244.1.1/32 dev pod${index + 1}`,
      `link set pod${index + 1} master cbr0`,
      `route add ${address}/32 dev cbr0`,
    ]),
  ];
  const { code, stderr } = await bed.node.run("ip", ["-batch", "-"], `${lines.join("\n")}\n`);
  if (code !== 0) throw new Error(stderr);
}
