/*
 * From NodeLocal DNSCache to nodens and back under load, as docs/migrate.md tells it.
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { kubeDnsAddress } from "./addresses.ts";
import { type Bed, plainLoad, trackedQuestions, underLoad } from "./bed.ts";
import { applyOverlay, deleteOverlay, detachNodens, nodensMetric, tracesOnNode } from "./nodens-in-cluster.ts";
import { runIn, tryIn, waitFor } from "./places.ts";
import { nodeLocalRules } from "../support/node/node-local-rules.ts";
import { projectFolder } from "../support/program/run-nodens.ts";

const way = "intercept";
const fixtures = join(projectFolder, "test", "fixtures");
const nodeLocalAddresses = ["169.254.20.10", kubeDnsAddress];

/** nodens's own address while both run. */
const interimAddress = "169.254.20.11";

/** Row 8, in the mode in which pods name kube-dns itself. */
export function migrationRows(bed: () => Bed): void {
  const plain = plainLoad(bed, "beside-migration");
  const row = (what: string, action: () => Promise<unknown>) =>
    underLoad(bed(), bed().load, { what, way, budget: { failed: 0, late: 5 }, beside: plain() }, action);

  let settings = "";

  beforeAll(() => startNodeLocal(bed()));
  afterAll(() => stopNodeLocal(bed()));

  test("the settings that `nodens migrate` writes take NodeLocal DNSCache's place under load", async () => {
    const { cluster, load, node } = bed();
    const before = await nodeLocalQuestions(bed());
    await row("NodeLocal DNSCache answers", async () => {});
    expect(await nodeLocalQuestions(bed())).toBeGreaterThan(before);
    settings = await migratedSettings(bed());
    await row("NodeLocal DNSCache replaced by nodens", async () => {
      await applyOverlay(cluster, way, settings);
      await waitFor("nodens is attached", async () => (await nodensMetric(node, "nodens_attached")) === 1);
      expect(await nodensMetric(node, "nodens_failopen")).toBe(0);
      await stopNodeLocal(bed());
    });
    expect(await runIn(node.place, ["ip", "-oneline", "link"])).not.toContain("nodelocaldns");
    expect(await nodensMetric(node, "nodens_attached")).toBe(1);
    expect(await trackedQuestions(bed(), load)).toBe(0);
  });

  test("the way back loses nothing either", async () => {
    const { cluster, node } = bed();
    await row("nodens replaced by NodeLocal DNSCache", async () => {
      await startNodeLocal(bed());
      await deleteOverlay(cluster, way, settings);
      await detachNodens(cluster);
    });
    expect((await tracesOnNode(node)).filter((trace) => !trace.includes("nodelocaldns"))).toEqual([]);
    const before = await nodeLocalQuestions(bed());
    await row("NodeLocal DNSCache answers again", async () => {});
    expect(await nodeLocalQuestions(bed())).toBeGreaterThan(before);
  });
}

/** What its manifest and, in its pod, its program do: CoreDNS at the addresses of an interface, to which packets go untracked. */
async function startNodeLocal({ cluster, node }: Bed): Promise<void> {
  const script = `
    ip link add nodelocaldns type veth peer name nodelocalpeer
    for address in "$@"; do ip address add $address/32 dev nodelocaldns; done
    ip link set nodelocaldns up`;
  await runIn(node.place, ["sh", "-ec", script, "sh", ...nodeLocalAddresses]);
  const corefile = join(fixtures, "corefiles", "node-local-dns.yaml");
  await cluster.kubectl(["apply", "-f", corefile, "-f", join(fixtures, "cluster", "node-local-dns.yaml")]);
  const { data } = parse(readFileSync(corefile, "utf8")) as { data: { Corefile: string } };
  const upstream = ["-n", "kube-system", "get", "service", "kube-dns-upstream", "-o", "jsonpath={.spec.clusterIP}"];
  const written = data.Corefile.replaceAll("__PILLAR__CLUSTER__DNS__", await cluster.kubectl(upstream)).replaceAll(
    "__PILLAR__UPSTREAM__SERVERS__",
    "/etc/resolv.conf",
  );
  const metadata = { name: "node-local-dns-written", namespace: "kube-system" };
  const configMap = { apiVersion: "v1", kind: "ConfigMap", metadata, data: { Corefile: written } };
  await cluster.kubectl(["apply", "-f", "-"], JSON.stringify(configMap));
  await waitFor("NodeLocal DNSCache answers", async () => {
    const question = ["+tries=1", "+time=1", "@169.254.20.10", "kubernetes.default.svc.cluster.local"];
    return (await runIn(node.place, ["dig", "+short", ...question])) !== "";
  });
  await runIn(node.place, ["iptables-restore", "--noflush"], { input: nodeLocalRules("-A", nodeLocalAddresses) });
}

/** Deletes it. On SIGTERM its program takes rules and interface away before it ends. Does nothing when it is gone. */
async function stopNodeLocal({ cluster, node }: Bed): Promise<void> {
  const isThere = (await tryIn(node.place, ["ip", "link", "show", "nodelocaldns"])).code === 0;
  if (!isThere) return;
  await runIn(node.place, ["iptables-restore", "--noflush"], { input: nodeLocalRules("-D", nodeLocalAddresses) });
  await runIn(node.place, ["ip", "link", "delete", "nodelocaldns"]);
  const objects = ["daemonset/node-local-dns", "configmap/node-local-dns", "configmap/node-local-dns-written"];
  await cluster.kubectl(["-n", "kube-system", "delete", ...objects, "service/kube-dns-upstream"]);
  await waitFor(
    "NodeLocal DNSCache's pod is gone",
    async () =>
      (await cluster.kubectl(["-n", "kube-system", "get", "pods", "-l", "k8s-app=node-local-dns", "-o", "name"])) ===
      "",
  );
}

/** How many questions it has had. */
async function nodeLocalQuestions({ node }: Bed): Promise<number> {
  const page = await runIn(node.place, ["curl", "-sf", "--max-time", "2", "http://127.0.0.1:9253/metrics"]);
  return [...page.matchAll(/^coredns_dns_requests_total\{.*\} (\S+)$/gm)].reduce(
    (sum, [, value]) => sum + Number(value),
    0,
  );
}

/** As the manual says: from the ConfigMaps of the cluster, with another address for the time that both run. */
async function migratedSettings({ cluster }: Bed): Promise<string> {
  const names = ["node-local-dns", "kube-dns", "--ignore-not-found"];
  const input = await cluster.kubectl(["-n", "kube-system", "get", "configmap", ...names, "-o", "yaml"]);
  const program = join(projectFolder, "src", "nodens.mjs");
  const written = execFileSync(process.execPath, [program, "migrate", "-"], { input, encoding: "utf8", stdio: "pipe" });
  const settings = parse(written) as { attach: { mode: string; addresses: string[] } };
  expect(settings.attach).toMatchObject({ mode: way, addresses: ["169.254.20.10"] });
  return stringify({ ...settings, attach: { ...settings.attach, addresses: [interimAddress] } });
}
