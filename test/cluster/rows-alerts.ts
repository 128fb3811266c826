/*
 * Prometheus beside nodens: it finds nodens through the metrics Service, no alert fires while all is well, and what is broken is told.
 */
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import { type Bed, underLoad } from "./bed.ts";
import { type DiscoveringJob, jobOfManual, jobOfServiceMonitor, ruleSpeed, startMonitoring } from "./monitoring.ts";
import { podsOf } from "./nodens-in-cluster.ts";
import { runIn, tryIn, waitFor } from "./places.ts";
import type { Loads } from "./rows-install.ts";
import type { PrometheusServer } from "../support/servers/prometheus-server.ts";

const way = "intercept";

/** In minutes of the rules, as long as the span that most of them look back. */
const healthyMinutes = 15;

/** Tells of a machine that has too little for the whole cluster, which is no fault of a row. */
const ofTheMachine = "NodensEventLoopDelay";

/** The alerts that a firewall rule in front of nodens sets off, in the order of their names. */
const toldOfFirewall = ["NodensFailOpen", "NodensNotReady", "NodensSetupErrors"];

/** Row 7, while nodens's pod has met nothing yet. */
export function alertRows(bed: () => Bed, { ours, plain }: Loads): void {
  describe("Prometheus", () => {
    test("finds each node's nodens by the manual's scrape config", async () => {
      await startFinding(bed(), jobOfManual());
    });

    test("has alerts that are silent while all is well, tell of a firewall rule, and end with it", async () => {
      const prometheus = await startFinding(bed(), jobOfServiceMonitor());
      await delay((healthyMinutes * 60_000) / ruleSpeed);
      expect(await firedIn(prometheus, healthyMinutes)).toEqual([]);

      // Late is who asks before nodens knows.
      const budget = { failed: 0, late: 300 };
      const what = "a firewall rule in front of nodens, until alerts tell";
      await underLoad(bed(), ours(), { what, way, budget, beside: plain(), isFailure: true }, async () => {
        await withFirewall(bed(), () =>
          waitFor(`${toldOfFirewall.join(", ")} fire`, async () => {
            const now = await firedIn(prometheus, 0);
            return toldOfFirewall.every((name) => now.includes(name));
          }),
        );
        await waitFor("nodens is ready again", async () => (await prometheus.query("nodens_ready == 1")).length > 0);
      });
      bed().report.note("alerts of a firewall rule in front of nodens", way, toldOfFirewall.join(", "));
      // Pods that asked before nodens knew have waited.
      expect((await firedIn(prometheus, healthyMinutes)).filter((name) => name !== "NodensPodsWait")).toEqual(
        toldOfFirewall,
      );
      await waitFor("those that last no longer than what they tell of are silent", async () => {
        const now = await firedIn(prometheus, 0);
        return !now.includes("NodensFailOpen") && !now.includes("NodensNotReady");
      });
    });
  });
}

/** Starts a Prometheus that ends with the test, and has found the node's nodens and calls it what alerts call it. */
async function startFinding({ cluster, node }: Bed, job: DiscoveringJob): Promise<PrometheusServer> {
  const prometheus = await startMonitoring(cluster, job);
  onTestFinished(() => prometheus.stop());
  const [pod] = await podsOf(cluster, node);
  await waitFor("Prometheus has scraped nodens", async () => (await prometheus.query("up == 1")).length > 0);
  const labels = { job: "node-local-dns", node: node.name, pod: pod?.name, namespace: "kube-system" };
  expect((await prometheus.query("up")).map(({ metric }) => metric)).toEqual([expect.objectContaining(labels)]);
  return prometheus;
}

/** The alerts that fired in the last minutes of the rules, or that fire now. */
async function firedIn(prometheus: PrometheusServer, minutes: number): Promise<string[]> {
  const firing = `ALERTS{alertstate="firing", alertname!="${ofTheMachine}"}`;
  const span = (minutes * 60) / ruleSpeed;
  const samples = await prometheus.query(
    `count by (alertname) (${span === 0 ? firing : `last_over_time(${firing}[${span}s])`})`,
  );
  return samples.map(({ metric }) => metric["alertname"] ?? "").toSorted();
}

/** Drops what goes to nodens's ports, for as long as something else lasts. */
async function withFirewall({ node }: Bed, action: () => Promise<unknown>): Promise<void> {
  const rules = ["udp", "tcp"].map((protocol) => `${protocol} dport { 53, 10052-10055 } drop`).join("\n    ");
  const chain = `type filter hook input priority -350\n    ${rules}`;
  const input = `table ip firewall {\n  chain input {\n    ${chain}\n  }\n}\n`;
  await runIn(node.place, ["nft", "-f", "-"], { input });
  try {
    await action();
  } finally {
    await tryIn(node.place, ["nft", "delete", "table", "ip", "firewall"]);
  }
}
