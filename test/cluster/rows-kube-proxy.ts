/*
 * kube-proxy beside nodens: it goes on, in both modes, and so does everybody else who reads the node's tables.
 */
import { expect, test } from "vitest";
import { type Bed, underLoad } from "./bed.ts";
import { runIn, waitFor } from "./places.ts";
import type { Loads } from "./rows-install.ts";

const way = "intercept";

/** Creates a Service and says how long it took until a pod reached it. It is deleted afterwards. */
export async function newServiceMs({ cluster, pod }: Bed, name: string): Promise<number> {
  const service = {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, namespace: "kube-system" },
    spec: { selector: { "k8s-app": "kube-dns" }, ports: [{ port: 9153 }] },
  };
  const find = ["-n", "kube-system", "get", "service", name, "-o", "jsonpath={.spec.clusterIP}"];
  await cluster.kubectl(["apply", "-f", "-"], JSON.stringify(service));
  const began = performance.now();
  try {
    const address = await cluster.kubectl(find);
    const fetch = ["curl", "-sf", "--max-time", "1", "-o", "/dev/null", `http://${address}:9153/metrics`];
    await waitFor(`the Service ${name} works`, async () => (await pod.run(fetch)) === "", 60_000, 50);
    return performance.now() - began;
  } finally {
    await cluster.kubectl(["-n", "kube-system", "delete", "service", name]);
  }
}

/** Row 4. */
export function kubeProxyRows(bed: () => Bed, { ours, plain }: Loads): void {
  test("a new Service works as soon as without nodens", async () => {
    const tookMs = await newServiceMs(bed(), "beside-nodens");
    bed().report.note("a new Service works after", way, `${Math.round(tookMs)} ms`);
    expect(tookMs).toBeLessThan(5000);
  });

  test("the node's own nft and iptables read everything", async () => {
    const { node } = bed();
    const ruleset = await runIn(node.place, ["nft", "list", "ruleset"]);
    expect(ruleset).toContain("nodens");
    await runIn(node.place, ["iptables-save"]);
    bed().report.note("`nft list ruleset` of the node reads", way, `${ruleset.split("\n").length} lines`);
  });

  test("kube-proxy changes its mode and back", { timeout: 240_000 }, async () => {
    const { node, proxyMode } = bed();
    const other = proxyMode === "iptables" ? "nftables" : "iptables";
    const what = "kube-proxy changed to the other mode and back, with a new Service in each";
    const row = { what, way, budget: { failed: 0, late: 5 }, beside: plain() } as const;
    await underLoad(bed(), ours(), row, async () => {
      for (const mode of [other, proxyMode] as const) {
        await node.setProxyMode(mode);
        await newServiceMs(bed(), `with-${mode}`);
      }
    });
  });
}
