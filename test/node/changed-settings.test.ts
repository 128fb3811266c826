/*
 * Settings that change while nodens runs, and processes with different ones side by side: pods' questions go where the latest settings
 * say, what is no longer wanted is gone, and nothing changes to and fro. Each test has a node of its own.
 */
import { setTimeout as pause } from "node:timers/promises";
import { test, type TestContext } from "vitest";
import { bedAddress, type BedHost, bedTools, createNodeBed, type NodeBed } from "../support/node/node-bed.ts";
import { expectedAnswer, lookUpAt } from "../support/node/nodens-faults.ts";
import { interceptTables, type NodensOnNode, startNodensOnNode } from "../support/node/nodens-on-node.ts";
import { describeWith } from "../support/program/requirements.ts";
import { until } from "../support/servers/scripted-upstream.ts";

const tools = [...bedTools, "dig"];
const timeout = 180_000;
const otherService = "10.96.0.99";

describeWith(tools, "settings that change", () => {
  test.concurrent(
    "other upstream.servers wait for a restart where they say what is intercepted, and no server is intercepted meanwhile",
    { timeout },
    async ({ expect, onTestFinished }) => {
      const { bed, pod, server } = await startBed(onTestFinished);
      const both = { upstream: { servers: [bedAddress.service, otherService] } };
      const nodens = await startNodensOnNode(bed, { mode: "intercept", settings: both });
      const changed = { upstream: { servers: [bedAddress.service, server.address] } };
      nodens.reload(changed);
      await until("it says so", () => /"needRestart":\[[^\]]*"upstream\.servers"/.test(nodens.output()));
      expect(await interceptedAddresses(bed)).toEqual([bedAddress.service, otherService]);
      await expectAnsweredBy(nodens, () => lookUpAt(pod, bedAddress.service));
      // As in an update: the next one has the settings from its start.
      const next = await startNodensOnNode(bed, {
        mode: "intercept",
        settings: { ...changed, attach: { mode: "intercept", virtualAddresses: [bedAddress.service] } },
        adminPort: 9254,
      });
      await nodens.stop();
      expect(await interceptedAddresses(bed)).toEqual([bedAddress.service]);
      await expectAnsweredBy(next, () => lookUpAt(pod, bedAddress.service));
    },
  );

  test.concurrent(
    "other upstream.servers are asked at once where attach.virtualAddresses says what is intercepted, and pods still ask them past nodens",
    { timeout },
    async ({ expect, onTestFinished }) => {
      const { bed, pod, server } = await startBed(onTestFinished);
      const attach = { mode: "intercept", virtualAddresses: [bedAddress.service] };
      const nodens = await startNodensOnNode(bed, { mode: "intercept", settings: { attach } });
      const label = `{to="${server.address}:53"}`;
      expect(await nodens.metric("nodens_upstream_up", label)).toBeUndefined();
      nodens.reload({ attach, upstream: { servers: [server.address] } });
      await until("the server is asked", async () => (await nodens.metric("nodens_upstream_up", label)) === 1);
      expect(await nodens.metric("nodens_upstream_up", bedAddress.service)).toBeUndefined();
      expect(await interceptedAddresses(bed)).toEqual([bedAddress.service]);
      await expectAnsweredBy(nodens, () => lookUpAt(pod, bedAddress.service));
      const before = await countOf(nodens);
      expect(await lookUpAt(pod, server.address)).toBe(expectedAnswer);
      // The page of metrics is up to 100 ms old.
      await pause(200);
      expect(await countOf(nodens)).toBe(before);
    },
  );

  test.concurrent.for(["link-local", "intercept"] as const)(
    "two processes with different settings do not rewrite their table in turns: attach.mode %s",
    { timeout },
    async (mode, { expect, onTestFinished }) => {
      const { bed, pod } = await startBed(onTestFinished);
      const first = await startNodensOnNode(bed, { mode, settings: { attach: { mode, notrack: true } } });
      const before = await tableHandle(bed);
      const second = await startNodensOnNode(bed, {
        mode,
        settings: {
          attach: { mode, notrack: true },
          listen: { allow: ["10.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"] },
        },
        adminPort: 9254,
      });
      const handle = await tableHandle(bed);
      expect(handle).not.toBe(before);
      // Both look every five seconds.
      await pause(11_000);
      expect(await tableHandle(bed)).toBe(handle);
      for (const nodens of [first, second])
        expect(nodens.output()).not.toContain("changed or removed the nftables table");
      expect(await lookUpAt(pod, mode === "intercept" ? bedAddress.service : bedAddress.own)).toBe(expectedAnswer);
    },
  );

  test.concurrent(
    "after four hand-overs, two of them by SIGKILL, no table of a process that has ended is there",
    { timeout },
    async ({ expect, onTestFinished }) => {
      const { bed, pod } = await startBed(onTestFinished);
      let current = await startNodensOnNode(bed, { mode: "intercept" });
      for (const [index, signal] of (["SIGTERM", "SIGKILL", "SIGTERM", "SIGKILL"] as const).entries()) {
        const [before] = await interceptTables(bed);
        const next = await startNodensOnNode(bed, { mode: "intercept", adminPort: index % 2 === 0 ? 9254 : 9253 });
        expect(await interceptTables(bed)).toHaveLength(2);
        current.process.kill(signal);
        await current.stop();
        await until("its table is gone", async () => !(await interceptTables(bed)).includes(before ?? ""));
        expect(await interceptTables(bed)).toHaveLength(1);
        expect(await lookUpAt(pod, bedAddress.service)).toBe(expectedAnswer);
        current = next;
      }
      expect(await tablesOfNodens(bed)).toEqual(["nodens", expect.stringMatching(/^nodens_/)]);
      expect(await current.stop()).toBe(0);
      expect(await tablesOfNodens(bed)).toEqual(["nodens"]);
    },
  );
});

const name = "web.default.svc.cluster.local";

async function startBed(onTestFinished: TestContext["onTestFinished"]) {
  const bed = await createNodeBed({ proxy: "iptables", podCount: 1 });
  onTestFinished(() => bed.close());
  const [pod] = bed.pods as [BedHost];
  const [server] = bed.kubeDns as [BedHost];
  // A node tracks connections long before nodens comes.
  await bed.node.run("dig", ["+short", `@${bedAddress.service}`, name]);
  return { bed, pod, server };
}

async function countOf(nodens: NodensOnNode): Promise<number> {
  return nodens.metricSum("coredns_dns_requests_total", 'proto="udp",family="1",type="A"');
}

async function expectAnsweredBy(nodens: NodensOnNode, lookUp: () => Promise<string>): Promise<void> {
  const before = await countOf(nodens);
  await until("nodens counts an answered question", async () => {
    const isAnswered = (await lookUp()) === expectedAnswer;
    return isAnswered && (await countOf(nodens)) > before;
  });
}

/** The Service addresses that some table rewrites, from its text. */
async function interceptedAddresses(bed: NodeBed): Promise<string[]> {
  const found = new Set<string>();
  for (const table of await interceptTables(bed)) {
    const { stdout } = await bed.node.run("nft", ["list", "chain", "inet", table, "questions"]);
    for (const [, address = ""] of stdout.matchAll(/ip daddr (\S+) udp dport 53 counter/g)) found.add(address);
  }
  return [...found].toSorted();
}

async function tablesOfNodens({ node }: NodeBed): Promise<string[]> {
  const { stdout } = await node.run("nft", ["list", "tables", "inet"]);
  return [...stdout.matchAll(/^table inet (nodens\S*)$/gm)].map(([, table = ""]) => table).toSorted();
}

/** The kernel gives another one to a table that is made anew. */
async function tableHandle({ node }: NodeBed): Promise<string | undefined> {
  const { stdout } = await node.run("nft", ["--handle", "list", "table", "inet", "nodens"]);
  return /^table inet nodens \{ # handle (\d+)/m.exec(stdout)?.[1];
}
