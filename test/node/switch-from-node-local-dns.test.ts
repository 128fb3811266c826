/*
 * From NodeLocal DNSCache to nodens on one node, as docs/migrate.md tells it: both run for a while, then the first goes, and takes
 * its interface and its rules with it. Its place is taken by a second nodens without attachment, on an interface of that name.
 */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { parse } from "yaml";
import { type CompiledClient, compileClient } from "../support/program/compile-client.ts";
import { bedAddress, bedTools, createNodeBed, type NodeBed } from "../support/node/node-bed.ts";
import { interceptingTables, type NodensOnNode, startNodensOnNode } from "../support/node/nodens-on-node.ts";
import { nodeLocalRules } from "../support/node/node-local-rules.ts";
import { describeWith } from "../support/program/requirements.ts";
import { projectFolder } from "../support/program/run-nodens.ts";
import { until } from "../support/servers/scripted-upstream.ts";
import { expectNoHole, watchLookups } from "../support/node/watch-lookups.ts";

const tools = [...bedTools, "dig", "gcc"];
const timeout = 90_000;

type Settings = Record<string, Record<string, unknown>>;

describeWith(tools, "from NodeLocal DNSCache to nodens", () => {
  let client: CompiledClient;

  beforeAll(async () => {
    client = await compileClient("steady-lookups", "gcc");
  });
  afterAll(() => client?.remove());

  test("by interception, with the settings that nodens migrate writes, no lookup is lost", { timeout }, async () => {
    const bed = await createNodeBed({ proxy: "iptables", podCount: 2 });
    onTestFinished(() => bed.close());
    const nodeLocal = await startNodeLocal(bed, [bedAddress.service, bedAddress.own]);
    const settings = migrateFixture("node-local-dns.yaml");
    expect(settings["attach"]).toMatchObject({ mode: "intercept", addresses: [bedAddress.own] });
    const seen = await watchLookups(bed, client.path, async () => {
      await startNodensOnNode(bed, {
        mode: "intercept",
        settings: { ...settings, attach: { ...settings["attach"], addresses: ["169.254.20.11"] } },
      });
      await stopNodeLocal(bed, nodeLocal);
    });
    expectNoHole(seen);
    expect(await interceptingTables(bed)).toBe(1);
  });

  test("at its own address, which it puts on lo beside, that address goes on answering", { timeout }, async () => {
    const bed = await createNodeBed({ proxy: "iptables", podCount: 2 });
    onTestFinished(() => bed.close());
    const nodeLocal = await startNodeLocal(bed, [bedAddress.own]);
    const nodens = await startNodensOnNode(bed, { mode: "link-local" });
    expect(nodens.output()).toMatch(/"kind":"address".*NodeLocal DNSCache is or was here/);
    await stopNodeLocal(bed, nodeLocal);
    const [pod] = bed.pods;
    const dig = ["+short", "+tries=1", "+time=1", `@${bedAddress.own}`, "web.default.svc.cluster.local"];
    expect((await pod?.run("dig", dig))?.stdout).toMatch(/^\d/);
    await until("nodens is attached", async () => (await nodens.metric("nodens_attached")) === 1, 20_000);
  });
});

const metricsPort = 9254;

/** Its addresses on an interface of its own, its rules against tracking, and something that answers. */
async function startNodeLocal(bed: NodeBed, addresses: readonly string[]): Promise<NodensOnNode> {
  const { node, kubeDns } = bed;
  await node.run("ip", ["link", "add", "nodelocaldns", "type", "veth", "peer", "name", "nodelocalpeer"]);
  for (const address of addresses) await node.run("ip", ["address", "add", `${address}/32`, "dev", "nodelocaldns"]);
  await node.run("ip", ["link", "set", "nodelocaldns", "up"]);
  expect(await node.run("iptables-restore", ["--noflush"], nodeLocalRules("-A", addresses))).toMatchObject({ code: 0 });
  const nodeLocal = await startNodensOnNode(bed, {
    mode: "host-ip",
    adminPort: metricsPort,
    settings: {
      listen: { addresses: addresses.map((address) => `${address}:53`) },
      upstream: { servers: [kubeDns[0]?.address] },
    },
  });
  return nodeLocal;
}

/** On SIGTERM rules and interface go before the sockets do. */
async function stopNodeLocal({ node }: NodeBed, nodeLocal: NodensOnNode): Promise<void> {
  const addresses = [bedAddress.service, bedAddress.own];
  const { stdout } = await node.run("iptables-save", ["-t", "raw"]);
  const present = addresses.filter((address) => stdout.includes(`${address}/32`));
  expect(await node.run("iptables-restore", ["--noflush"], nodeLocalRules("-D", present))).toMatchObject({ code: 0 });
  expect(await node.run("ip", ["link", "delete", "nodelocaldns"])).toMatchObject({ code: 0 });
  await nodeLocal.stop();
}

/** What becomes settings of a nodens on the bed: where it tells of itself is the bed's affair. */
function migrateFixture(name: string): Settings {
  const program = join(projectFolder, "src", "nodens.mjs");
  const corefile = join(projectFolder, "test", "fixtures", "corefiles", name);
  const written = execFileSync(process.execPath, [program, "migrate", corefile], { encoding: "utf8", stdio: "pipe" });
  const { admin: _admin, probes: _probes, ...settings } = parse(written) as Settings;
  return settings;
}
