/*
 * Rules of network policies on the node, as kube-router lays them: what leaves for a pod has to belong to a connection that is tracked.
 * nodens's replies do not.
 */
import { setTimeout as delay } from "node:timers/promises";
import { test } from "vitest";
import { addressesOf, type Bed, underLoad } from "./bed.ts";
import { endLoad, startLoad } from "./load.ts";
import { runIn, tryIn } from "./places.ts";
import type { Loads } from "./rows-install.ts";

const way = "intercept";

/** Not "policy", which is a word of nft's own. */
const tableName = "network_policy";

/** A pod that had replies may lose what it asks until this is over; then it has found its way. */
const findsItsWayMs = 10_000;

/** Row 6, in the mode in which pods name kube-dns itself. */
export function policyRows(bed: () => Bed, { ours, plain }: Loads): void {
  test("pods to which nodens's replies may not go find another way, and the others stay", async () => {
    const { cluster, node } = bed();
    const cut = await startLoad(cluster, { name: "cut", perSecond: 20 });
    const budget = { failed: 0, late: 2 };
    try {
      const others = { what: "rules of a policy for two other pods", way, budget, beside: plain() } as const;
      await underLoad(bed(), ours(), others, async () => {
        await runIn(node.place, ["nft", "-f", "-"], { input: rulesFor(await addressesOf(cluster, cut)) });
        await delay(findsItsWayMs);
        const itself = { what: "those two pods, 10 s later", way, budget, beside: plain() } as const;
        await underLoad(bed(), cut, itself, () => delay(findsItsWayMs));
      });
    } finally {
      await tryIn(node.place, ["nft", "delete", "table", "ip", tableName]);
      await endLoad(cluster, cut);
    }
  });
}

function rulesFor(pods: readonly string[]): string {
  const rules = `
    ip daddr { ${pods.join(", ")} } ct state established,related accept
    ip daddr { ${pods.join(", ")} } drop`;
  const chains = ["output", "forward"].map(
    (hook) => `chain ${hook} {\n    type filter hook ${hook} priority 0${rules}\n  }`,
  );
  return `table ip ${tableName} {\n  ${chains.join("\n  ")}\n}\n`;
}
