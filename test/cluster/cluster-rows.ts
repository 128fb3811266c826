/*
 * nodens on a cluster, beside what the same pods lose without it: all rows, in their order. A file for each of kube-proxy's modes calls
 * this, so that both run at the same time; most of it is waiting.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Bed, startBed } from "./bed.ts";
import { clusterRequirements } from "./cluster.ts";
import type { ProxyMode } from "./node-setup.ts";
import { alertRows } from "./rows-alerts.ts";
import { baselineRows } from "./rows-baseline.ts";
import { changeRows } from "./rows-changes.ts";
import { disruptionRows, kubeDnsRows } from "./rows-disruptions.ts";
import { chartRows, managedClusterRows, modeRows } from "./rows-install.ts";
import { kubeProxyRows } from "./rows-kube-proxy.ts";
import { migrationRows } from "./rows-migration.ts";
import { policyRows } from "./rows-policy.ts";
import { twoNodeRows } from "./rows-two-nodes.ts";
import { whatHappened } from "./what-happened.ts";
import { describeWith } from "../support/program/requirements.ts";

/** `core` leaves out what takes long and has parts of its own (vitest.config.ts): alerts, policies, the switch from another cache, probes. */
const hasAllRows = process.env["NODENS_TEST_CLUSTER"] !== "core";

/** Registers the tests of a cluster of one node whose kube-proxy has this mode. */
export function clusterRows(proxyMode: ProxyMode): void {
  describeCluster(`a cluster whose kube-proxy uses ${proxyMode}`, proxyMode, 1, (bed) => {
    describe("without nodens", () => baselineRows(bed));
    describe.each(["intercept", "link-local", "host-ip"] as const)("with the overlay %s", (way) => {
      modeRows(bed, way, (loads) => {
        if (way === "intercept" && hasAllRows) alertRows(bed, loads);
        disruptionRows(bed, way, loads);
        if (way !== "intercept") return;
        kubeDnsRows(bed, loads);
        if (hasAllRows) policyRows(bed, loads);
        kubeProxyRows(bed, loads);
        changeRows(bed, loads);
      });
    });
    if (hasAllRows) describe("from NodeLocal DNSCache", () => migrationRows(bed));
    describe("with the overlay managed-cluster", () => managedClusterRows(bed));
    describe("with the chart", () => chartRows(bed));
  });
}

/** Registers the tests of a cluster of two nodes: what needs two. */
export function twoNodeClusterRows(proxyMode: ProxyMode): void {
  describeCluster(`a cluster of two nodes whose kube-proxy uses ${proxyMode}`, proxyMode, 2, twoNodeRows);
}

function describeCluster(name: string, proxyMode: ProxyMode, nodeCount: number, rows: (bed: () => Bed) => void): void {
  describeWith(["CI=true", ...clusterRequirements], name, () => {
    let made: Bed | undefined;
    const bed = (): Bed => {
      if (made === undefined) throw new Error("the cluster did not start");
      return made;
    };
    beforeAll(async () => {
      made = await startBed(proxyMode, nodeCount);
    });
    afterAll(() => made?.cluster.close());
    beforeEach(({ onTestFailed }) => {
      onTestFailed(async () => {
        process.stderr.write(`${proxyMode}: a row failed\n${await whatHappened(bed().cluster)}\n`);
      });
    });

    rows(bed);
    if (!hasAllRows) return;

    test("no probe of nodens has failed but where a row planted a failure", () => {
      const failed = bed().probes.failed();
      const all = nodeCount === 1 ? "all rows of one node" : "all rows of two nodes";
      bed().report.note("probes failed, but for rows that plant a failure", all, String(failed.length));
      expect(failed).toEqual([]);
    });
  });
}
