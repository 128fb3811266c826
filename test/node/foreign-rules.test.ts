/*
 * Rules of others on the node while nodens intercepts: such that come before its own, and such that keep packets from it. Each test
 * has a node of its own, and most of its time is waiting.
 */
import { afterAll, beforeAll, test, type TestContext } from "vitest";
import { type CompiledClient, compileClient } from "../support/program/compile-client.ts";
import { bedAddress, type BedHost, bedTools, createNodeBed, type NodeBed } from "../support/node/node-bed.ts";
import { addressesAsked, expectedAnswer, lookUpAt } from "../support/node/nodens-faults.ts";
import { interceptingTables, settingsForBothFamilies, startNodensOnNode } from "../support/node/nodens-on-node.ts";
import { describeWith } from "../support/program/requirements.ts";
import { until } from "../support/servers/scripted-upstream.ts";
import { straightFlows } from "../support/node/straight-flows.ts";
import { expectNoHole, watchLookups } from "../support/node/watch-lookups.ts";

const tools = [...bedTools, "dig", "gcc"];
const timeout = 180_000;
const input = "type filter hook input priority filter";

describeWith(tools, "attach.mode intercept, rules of others", () => {
  let client: CompiledClient;

  beforeAll(async () => {
    client = await compileClient("steady-lookups", "gcc");
  });
  afterAll(() => client?.remove());

  async function startBed(onTestFinished: TestContext["onTestFinished"]): Promise<NodeBed> {
    const bed = await createNodeBed({ proxy: "iptables", podCount: 2 });
    onTestFinished(() => bed.close());
    return bed;
  }

  test.concurrent.for([
    [
      "that leave the Service untracked, as NodeLocal DNSCache does, in front",
      "raw - 20",
      "ip daddr 10.96.0.10 notrack",
    ],
    ["that accept DNS in front", "raw - 20", "udp dport 53 accept"],
    ["that leave the Service untracked, behind", "raw + 1", "ip daddr 10.96.0.10 notrack"],
  ] as const)("%s, it goes on intercepting", { timeout }, async ([, priority, rule], { expect, onTestFinished }) => {
    const bed = await startBed(onTestFinished);
    await startNodensOnNode(bed, { mode: "intercept" });
    const hook = `type filter hook prerouting priority ${priority}`;
    expectNoHole(await watchLookups(bed, client.path, () => addForeign(bed, hook, rule)));
    expect(await interceptingTables(bed)).toBe(1);
    expect(await straightFlows(bed)).toEqual([]);
  });

  test.concurrent(
    "that give packets a conntrack zone in front, it goes on intercepting and says that they are tracked",
    { timeout },
    async ({ expect, onTestFinished }) => {
      const bed = await startBed(onTestFinished);
      // A node tracks connections long before nodens comes.
      await bed.node.run("dig", ["+short", `@${bedAddress.service}`, "web.default.svc.cluster.local"]);
      await addForeign(bed, "type filter hook prerouting priority raw - 30", 'iifname "pod1" ct zone set 1');
      const nodens = await startNodensOnNode(bed, { mode: "intercept" });
      expectNoHole(await watchLookups(bed, client.path, () => {}));
      expect(await interceptingTables(bed)).toBe(1);
      expect(nodens.output()).toMatch(/"kind":"path".*redirected packets of pods are tracked in spite/);
    },
  );

  test.concurrent.for(["intercept", "link-local", "host-ip"] as const)(
    "that give packets a conntrack zone in front, added later, are told of within a minute, and pods are answered: attach.mode %s",
    { timeout: 240_000 },
    async (mode, { expect, onTestFinished }) => {
      const bed = await startBed(onTestFinished);
      // A node tracks connections long before nodens comes.
      await bed.node.run("dig", ["+short", `@${bedAddress.service}`, "web.default.svc.cluster.local"]);
      const nodens = await startNodensOnNode(bed, { mode, settings: settingsForBothFamilies(mode) });
      const [pod] = bed.pods as [BedHost];
      const asked = addressesAsked[mode];
      await until("it is attached", async () => (await nodens.metric("nodens_attached")) === 1);
      const isTold = () => /"kind":"path".*are tracked in spite/.test(nodens.output());
      expect(isTold()).toBe(false);
      await addForeign(bed, "type filter hook prerouting priority raw - 30", 'iifname "pod1" ct zone set 1');
      const isToldWhileAnswered = async () => {
        for (const server of asked) expect(await lookUpAt(pod, server)).toBe(expectedAnswer);
        return isTold();
      };
      await until("it tells", isToldWhileAnswered, 75_000);
      expect(await nodens.metric("nodens_setup_errors_total", '"path"')).toBeGreaterThan(0);
    },
  );

  test.concurrent(
    "that drop what is rewritten, pods ask kube-dns, and the log says why",
    { timeout },
    async ({ expect, onTestFinished }) => {
      const bed = await startBed(onTestFinished);
      const nodens = await startNodensOnNode(bed, { mode: "intercept" });
      expectNoHole(await watchLookups(bed, client.path, () => addForeign(bed, input, "udp dport 10053 drop")));
      expect(await interceptingTables(bed)).toBe(0);
      expect(await nodens.metric("nodens_failopen")).toBe(1);
      await until("it says why", () => /"kind":"path".*are not answered/.test(nodens.output()));
    },
  );

  test.concurrent("that are taken away again, it intercepts again", { timeout }, async ({ expect, onTestFinished }) => {
    const bed = await startBed(onTestFinished);
    const nodens = await startNodensOnNode(bed, { mode: "intercept" });
    await addForeign(bed, input, "udp dport 10053 drop");
    await until("it says that it fails open", () => nodens.output().includes("are not answered"));
    expect(await interceptingTables(bed)).toBe(0);
    await bed.node.run("nft", ["delete", "table", "inet", "foreign"]);
    await until("it intercepts again", async () => (await interceptingTables(bed)) === 1);
    expect(nodens.output()).toContain("no longer: test packets");
  });

  test.concurrent(
    "that drop only what comes from one pod, that pod asks kube-dns, and the log says so",
    { timeout },
    async ({ expect, onTestFinished }) => {
      const bed = await startBed(onTestFinished);
      const nodens = await startNodensOnNode(bed, { mode: "intercept" });
      const drop = () => addForeign(bed, input, 'iifname "pod1" udp dport 10053 drop');
      const seen = await watchLookups(bed, client.path, drop);
      expectNoHole(seen);
      expect(await interceptingTables(bed)).toBe(1);
      await until("it says so", () => nodens.output().includes("no replies leave for some pods"), 70_000);
    },
  );
});

async function addForeign({ node }: NodeBed, hook: string, rule: string): Promise<void> {
  const text = `table inet foreign { chain c { ${hook}; policy accept; ${rule}\n }\n }\n`;
  const { code, stderr } = await node.run("nft", ["-f", "-"], text);
  if (code !== 0) throw new Error(`cannot add a foreign rule: ${stderr}`);
}
