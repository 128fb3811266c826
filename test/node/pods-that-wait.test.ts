/*
 * Real resolvers in a pod whose packets are lost: the pod is named, with how long it waited and on which way the packet was lost. What a client
 * does not show is not claimed of it.
 */
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { type BedHost, bedAddress, createNodeBed, type NodeBed } from "../support/node/node-bed.ts";
import { type NodensOnNode, startNodensOnNode } from "../support/node/nodens-on-node.ts";
import { lookUpInPod, writeResolvConf } from "../support/node/pod-lookups.ts";
import { compileClient } from "../support/program/compile-client.ts";
import { describeWith } from "../support/program/requirements.ts";
import { projectFolder } from "../support/program/run-nodens.ts";

const tools = ["CI=true", "root", "ip", "nft", "iptables-restore", "curl", "dig", "gcc", "musl-gcc"];

/** With its final dot: one lookup, A and AAAA. */
const name = "web.default.svc.cluster.local.";
const nameOctets = 31;

/** Both first replies are smaller together. What comes after them passes. */
const firstRepliesDropped = `table inet lossy { chain c { type filter hook prerouting priority filter;
  udp sport 53 quota until 260 bytes drop
}\n}\n`;

/** The type stands behind UDP's header, the message's and the name. The second such query passes. */
const firstQueryDropped = (type: number) => `table inet lossy { chain c { type filter hook prerouting priority -400;
  udp dport 53 @th,${(8 + 12 + nameOctets) * 8},16 ${type} quota until 80 bytes drop
}\n}\n`;

const resolvers = [
  { compiler: "musl-gcc", after: "2.5s", fromMs: 2400, toMs: 2800 },
  { compiler: "gcc", after: "5s", fromMs: 4900, toMs: 5400 },
] as const;

interface Scene {
  readonly bed: NodeBed;
  readonly pod: BedHost;
  readonly nodens: NodensOnNode;
  /** What `nodens top --once --json` prints. */
  top(): Promise<{ waits: { recent: Record<string, unknown>[] }; sentence?: unknown }>;
}

async function createScene(): Promise<Scene> {
  const bed = await createNodeBed({ proxy: "iptables", podCount: 1 });
  onTestFinished(() => bed.close());
  const [pod] = bed.pods as [BedHost];
  const nodens = await startNodensOnNode(bed, { mode: "link-local" });
  async function top() {
    const program = join(projectFolder, "src", "nodens.mjs");
    const { stdout } = await bed.node.run(process.execPath, [program, "top", "--once", "--json"]);
    return JSON.parse(stdout) as Awaited<ReturnType<Scene["top"]>>;
  }
  return { bed, pod, nodens, top };
}

async function createLookup(pod: BedHost, compiler: "gcc" | "musl-gcc") {
  const client = await compileClient("getaddrinfo", compiler);
  onTestFinished(() => client.remove());
  const resolvConf = writeResolvConf(bedAddress.own);
  onTestFinished(() => resolvConf.remove());
  return (times: number) =>
    lookUpInPod(
      pod,
      client.path,
      resolvConf,
      Array.from({ length: times }, () => name),
    );
}

async function lose({ run }: BedHost, rules: string): Promise<void> {
  expect(await run("nft", ["-f", "-"], rules)).toMatchObject({ code: 0, stderr: "" });
}

describeWith(tools, "a pod that waits", () => {
  test.each(resolvers)(
    "with $compiler's resolver, whose replies are lost: seen after $after as answered",
    async ({ compiler, after, fromMs, toMs }) => {
      const { pod, nodens, top } = await createScene();
      const lookUp = await createLookup(pod, compiler);
      await lookUp(1);
      await lose(pod, firstRepliesDropped);
      expect(await lookUp(1)).toEqual(["ok 10.96.0.7"]);
      expect(
        await nodens.metric("nodens_client_repeats_total", `after="${after}",first="answered"`),
      ).toBeGreaterThanOrEqual(1);
      const [wait] = (await top()).waits.recent;
      expect(wait).toMatchObject({
        client: pod.address,
        name: name.slice(0, -1),
        first: "answered",
        meaning: expect.stringContaining("lost on the way to the pod") as string,
      });
      expect(wait?.["afterMs"]).toBeGreaterThanOrEqual(fromMs);
      expect(wait?.["afterMs"]).toBeLessThanOrEqual(toMs);
    },
  );

  test.each(resolvers)(
    "with $compiler's resolver, one of whose queries is lost: seen after $after as lost on the way in",
    async ({ compiler, after }) => {
      const { bed, pod, nodens, top } = await createScene();
      const lookUp = await createLookup(pod, compiler);
      await lookUp(8);
      await lose(bed.node, firstQueryDropped(28));
      expect(await lookUp(1)).toEqual(["ok 10.96.0.7"]);
      expect(
        await nodens.metric("nodens_client_repeats_total", `after="${after}",first="unseen"`),
      ).toBeGreaterThanOrEqual(1);
      const { recent } = (await top()).waits;
      expect(recent.map(({ first, client }) => ({ first, client }))).toContainEqual({
        first: "unseen",
        client: pod.address,
      });
    },
  );

  test("is not claimed of dig, which asks for A alone, when its query is lost", async () => {
    const { bed, pod, top } = await createScene();
    const ask = () => pod.run("dig", ["+short", "+tries=2", "+time=1", `@${bedAddress.own}`, name]);
    for (let turn = 0; turn < 8; turn += 1) await ask();
    await lose(bed.node, firstQueryDropped(1));
    expect((await ask()).stdout).toContain("10.96.0.7");
    expect((await top()).waits.recent).toEqual([]);
  });
});
