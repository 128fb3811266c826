/*
 * Overlays and the chart: accepted without a warning, ready in seconds, gone without a trace.
 */
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type Bed, plainLoad, serverOf, underLoad } from "./bed.ts";
import { endLoad, type Load, startLoad } from "./load.ts";
import {
  applyOverlay,
  deleteOverlay,
  detachNodens,
  failedProbes,
  nodensMetric,
  rollOut,
  tracesOnNode,
  waitUntilGone,
  workingSetBytes,
} from "./nodens-in-cluster.ts";
import { runIn, waitFor } from "./places.ts";
import { nameRows } from "./rows-names.ts";
import { projectFolder } from "../support/program/run-nodens.ts";

/** Overlays that are ways of their own for pods' questions. */
export type Mode = "intercept" | "link-local" | "host-ip";

/** Pods that other rows look at: those that ask nodens, and those that ask kube-dns. */
export interface Loads {
  readonly ours: () => Load;
  readonly plain: () => Load;
}

/** Row 1 for an overlay, with row 2 and others between its coming and its going. */
export function modeRows(bed: () => Bed, way: Mode, rows: (loads: Loads) => void): void {
  let own: Load | undefined;
  const ours = (): Load => own ?? bed().load;

  test("is accepted without a warning, and is ready in seconds, without a probe that fails", async () => {
    const beganMs = Date.now() - 1000;
    const { warnings, rolledOutMs } = await applyOverlay(bed().cluster, way);
    bed().report.note("rolled out after (minReadySeconds: 5)", way, `${(rolledOutMs / 1000).toFixed(1)} s`);
    expect(warnings).toEqual([]);
    expect(await failedProbes(bed().cluster, beganMs)).toEqual([]);
    expect(await nodensMetric(bed().node, "nodens_attached")).toBe(1);
    if (way !== "intercept") own = await startLoad(bed().cluster, { name: way, nameserver: serverOf(way, bed().node) });
  });

  nameRows(bed, way, ours);

  test("its working set is known", async () => {
    let bytes = 0;
    const isKnown = async () => (bytes = await workingSetBytes(bed().cluster, bed().node)) > 0;
    await waitFor("kubelet has looked at nodens's memory", isKnown);
    bed().report.note("working set", way, `${Math.round(bytes / 2 ** 20)} MiB`);
  });

  describe("under load, beside plain kube-dns", () => {
    const plain = plainLoad(bed, `beside-${way}`);
    rows({ ours, plain });

    test("leaves nothing on the node after its going and `detach`", async () => {
      const { cluster, node, load } = bed();
      if (own !== undefined) await endLoad(cluster, own);
      const row = { what: "overlay deleted, and `detach`", way, budget: { failed: 0, late: 5 }, beside: plain() };
      await underLoad(bed(), load, row, async () => {
        await deleteOverlay(cluster, way);
        await detachNodens(cluster);
      });
      expect(await tracesOnNode(node)).toEqual([]);
    });
  });
}

/** Row 1 and 6: the overlay for clusters whose kubelets are others'. */
export function managedClusterRows(bed: () => Bed): void {
  const way = "managed-cluster";

  test("is accepted without a warning, and is ready in seconds", async () => {
    const { warnings, rolledOutMs } = await applyOverlay(bed().cluster, way);
    bed().report.note("rolled out after (minReadySeconds: 5)", way, `${(rolledOutMs / 1000).toFixed(1)} s`);
    expect(warnings).toEqual([]);
  });

  test("tells new pods of labelled namespaces to ask nodens, and not those that opt out", async () => {
    const { kubectl } = bed().cluster;
    await kubectl(["apply", "-f", "-"], namespaceWithInjection);
    // The API server reads new policies every second.
    const nameserverOf = async (name: string, label: string): Promise<string> => {
      await kubectl(["apply", "-f", "-"], podWith(name, label));
      const path = "jsonpath={.spec.dnsPolicy} {.spec.dnsConfig.nameservers}";
      return kubectl(["-n", "injected", "get", "pod", name, "-o", path]);
    };
    expect(await nameserverOf("told", "enabled")).toBe('None ["169.254.20.10"]');
    expect(await nameserverOf("opted-out", "disabled")).toBe("ClusterFirst ");
    await kubectl(["delete", "namespace", "injected"]);
  });

  test("leaves nothing on the node after its going and `detach`", async () => {
    await deleteOverlay(bed().cluster, way);
    await detachNodens(bed().cluster);
    expect(await tracesOnNode(bed().node)).toEqual([]);
  });
}

const namespaceWithInjection = JSON.stringify({
  apiVersion: "v1",
  kind: "Namespace",
  metadata: { name: "injected", labels: { "node-local-dns-injection": "enabled" } },
});

function podWith(name: string, label: string): string {
  const containers = [{ name: "pause", image: "nodens.test/pause:1" }];
  const metadata = { name, namespace: "injected", labels: { "node-local-dns-injection": label } };
  const spec = { containers, terminationGracePeriodSeconds: 0 };
  return JSON.stringify({ apiVersion: "v1", kind: "Pod", metadata, spec });
}

/** Row 1: the chart. */
export function chartRows(bed: () => Bed): void {
  const way = "chart";
  const helm = (verb: string, ...args: string[]) => {
    const { cluster } = bed();
    const kubeconfig = ["--kubeconfig", cluster.controlPlane.adminKubeconfig, "--namespace", "kube-system"];
    // With the machine's files and processes: it is nothing of the cluster's.
    return runIn(cluster.world, ["helm", verb, "nodens", ...args, ...kubeconfig], { namespaces: ["--net"] });
  };
  const plain = plainLoad(bed, `beside-${way}`);
  const row = (what: string, action: () => Promise<unknown>) =>
    underLoad(bed(), bed().load, { what, way, budget: { failed: 0, late: 5 }, beside: plain() }, action);
  const chart = join(projectFolder, "deploy", "chart", "nodens");

  test("is installed, and upgraded from mode to mode under load", async () => {
    const modes = ["intercept", "link-local", "host-ip", "intercept"];
    for (const [index, mode] of modes.entries()) {
      const verb = index === 0 ? "install" : "upgrade";
      const what = index === 0 ? `chart installed, mode ${mode}` : `chart upgraded from ${modes[index - 1]} to ${mode}`;
      await row(what, async () => {
        await helm(verb, chart, "--set", `mode=${mode}`);
        await rollOut(bed().cluster);
      });
    }
  });

  test("leaves nothing on the node after its going and `detach`", async () => {
    const { cluster, node } = bed();
    await row("chart uninstalled, and `detach`", async () => {
      await helm("uninstall");
      await waitUntilGone(cluster);
      await detachNodens(cluster);
    });
    expect(await tracesOnNode(node)).toEqual([]);
  });
}
