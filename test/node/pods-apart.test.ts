/*
 * Each pod has a switch of its own while nodens intercepts: one for which no replies leave asks kube-dns, or is tracked where that
 * helps, and the others stay. Each test has a node of its own, and most of its time is waiting.
 */
import { setTimeout as pause } from "node:timers/promises";
import { test, type TestContext } from "vitest";
import { bedAddress, type BedHost, bedTools, createNodeBed, type NodeBed } from "../support/node/node-bed.ts";
import { interceptingTables, startNodensOnNode } from "../support/node/nodens-on-node.ts";
import { straightFlows } from "../support/node/straight-flows.ts";
import { describeWith } from "../support/program/requirements.ts";
import { until } from "../support/servers/scripted-upstream.ts";

const tools = [...bedTools, "dig"];
const timeout = 120_000;
const name = "web.default.svc.cluster.local";

type OnFinished = TestContext["onTestFinished"];

describeWith(tools, "attach.mode intercept, pod by pod", () => {
  async function start(onTestFinished: OnFinished, attach: Record<string, unknown> = {}, more = {}) {
    const bed = await createNodeBed({ proxy: "iptables", podCount: 2 });
    onTestFinished(() => bed.close());
    // A node tracks connections long before nodens comes.
    await bed.node.run("dig", ["+short", `@${bedAddress.service}`, name]);
    const settings = {
      attach: { mode: "intercept", addresses: [bedAddress.own, bedAddress.own6], ...attach },
      upstream: { servers: [bedAddress.service, bedAddress.service6] },
      ...more,
    };
    const nodens = await startNodensOnNode(bed, { mode: "intercept", settings });
    const [first, second] = bed.pods as [BedHost, BedHost];
    return { bed, nodens, first, second };
  }

  test.concurrent.for([
    ["+notcp", bedAddress.service],
    ["+tcp", bedAddress.service],
    ["+notcp", bedAddress.service6],
    ["+tcp", bedAddress.service6],
  ] as const)(
    "one that may not send to the node asks kube-dns after a question or two, and returns by itself (%s, %s)",
    { timeout },
    async ([transport, service], { expect, onTestFinished }) => {
      const { bed, nodens, first, second } = await start(onTestFinished);
      await addForeign(bed, "input", 'iifname "pod1" meta l4proto { tcp, udp } th dport 10053 drop');
      const lost = await lookUp(first, service, transport, 12);
      expect(lost).toBeLessThanOrEqual(4);
      expect(await lookUp(first, service, transport, 3)).toBe(0);
      expect(await lookUp(second, service, transport, 3)).toBe(0);
      expect(await interceptingTables(bed)).toBe(1);
      expect(await straightFlowsOf(bed, second)).toEqual([]);
      await bed.node.run("nft", ["delete", "table", "inet", "foreign"]);
      await until("it is answered by nodens again", async () => await isIntercepted(bed, first, service), 60_000);
      expect(await nodens.metric("nodens_failopen")).toBe(0);
    },
  );

  test.concurrent.for(["+notcp", "+tcp"])(
    "one whose untracked replies are dropped is tracked, and asks nodens all the same (%s)",
    { timeout },
    async (transport, { expect, onTestFinished }) => {
      const { bed, first, second } = await start(onTestFinished);
      await addForeign(bed, "output", `ip daddr ${first.address} ct state != established drop`);
      expect(await lookUp(first, bedAddress.service, transport, 8)).toBeLessThanOrEqual(3);
      expect(await lookUp(first, bedAddress.service, transport, 5)).toBe(0);
      expect(await straightFlowsOf(bed, first)).toEqual([]);
      expect(await isIntercepted(bed, first, bedAddress.service)).toBe(true);
      expect(await lookUp(second, bedAddress.service, transport, 3)).toBe(0);
      expect(await trackedFlowsOf(bed, second)).toEqual([]);
    },
  );

  test.concurrent(
    "with attach.notrack true, one whose untracked replies are dropped asks kube-dns",
    { timeout },
    async ({ expect, onTestFinished }) => {
      const { bed, first } = await start(onTestFinished, { notrack: true });
      await addForeign(bed, "output", `ip daddr ${first.address} ct state != established drop`);
      expect(await lookUp(first, bedAddress.service, "+notcp", 8)).toBeLessThanOrEqual(3);
      expect(await lookUp(first, bedAddress.service, "+notcp", 5)).toBe(0);
      expect((await straightFlowsOf(bed, first)).length).toBeGreaterThan(0);
    },
  );

  test.concurrent(
    "one that listen.allow leaves out asks kube-dns, and so does one in attach.except",
    { timeout },
    async ({ expect, onTestFinished }) => {
      const listen = { addresses: [], allow: ["10.244.1.10/31", "169.254.0.0/16", "172.16.0.0/12", "fd00::/8"] };
      const { bed, first, second } = await start(onTestFinished, { except: ["10.244.1.11"] }, { listen });
      expect(await lookUp(first, bedAddress.service, "+notcp", 3)).toBe(0);
      expect(await isIntercepted(bed, first, bedAddress.service)).toBe(true);
      for (const transport of ["+notcp", "+tcp"])
        expect(await lookUp(second, bedAddress.service, transport, 6)).toBe(0);
      expect(await isIntercepted(bed, second, bedAddress.service)).toBe(false);
      expect(await straightFlowsOf(bed, first)).toEqual([]);
      expect((await straightFlowsOf(bed, second)).length).toBeGreaterThan(0);
    },
  );
});

/** How many of so many lookups, one after the other, each with a second of its own, were not answered. */
async function lookUp(pod: BedHost, service: string, transport: string, count: number): Promise<number> {
  let lost = 0;
  for (let index = 0; index < count; index += 1) {
    const { stdout } = await pod.run("dig", ["+short", transport, "+tries=1", "+time=1", `@${service}`, name]);
    if (stdout !== "10.96.0.7\n") lost += 1;
    await pause(20);
  }
  return lost;
}

/** Whether nodens counts a question of the pod. */
async function isIntercepted({ node }: NodeBed, pod: BedHost, service: string): Promise<boolean> {
  const count = async () => {
    const { stdout } = await node.run("curl", ["-sf", "http://127.0.0.1:9253/metrics"]);
    const lines = stdout.split("\n").filter((line) => /^coredns_dns_requests_total.*type="TXT"/.test(line));
    return lines.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
  };
  const before = await count();
  await pod.run("dig", ["+short", "+tries=1", "+time=1", `@${service}`, "TXT", "absent.default.svc.cluster.local"]);
  // The page of metrics is up to 100 ms old.
  await pause(200);
  return (await count()) > before;
}

async function straightFlowsOf(bed: NodeBed, pod: BedHost): Promise<string[]> {
  return (await straightFlows(bed)).filter((flow) => flow.includes(`src=${pod.address} `));
}

async function trackedFlowsOf({ node }: NodeBed, pod: BedHost): Promise<string[]> {
  const { stdout } = await node.run("conntrack", ["-L"]);
  return stdout.split("\n").filter((line) => line.includes(`src=${pod.address} `));
}

async function addForeign({ node }: NodeBed, hook: "input" | "output", rule: string): Promise<void> {
  const chain = `chain c { type filter hook ${hook} priority filter; policy accept; ${rule}\n }`;
  const { code, stderr } = await node.run("nft", ["-f", "-"], `table inet foreign { ${chain}\n }\n`);
  if (code !== 0) throw new Error(`cannot add a foreign rule: ${stderr}`);
}
