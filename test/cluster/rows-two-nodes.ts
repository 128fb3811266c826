/*
 * What needs two nodes: a Service that prefers the client's own node, an update that goes node by node, and a node that dies.
 */
import { setTimeout as delay } from "node:timers/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Bed, plainLoad, underLoad } from "./bed.ts";
import { endLoad, type Load, startLoad } from "./load.ts";
import {
  allPods,
  applyOverlay,
  deletePodOf,
  podsOf,
  restartNodens,
  rollOut,
  waitUntilGone,
  waitUntilNoneEnds,
} from "./nodens-in-cluster.ts";
import type { ClusterNode } from "./node.ts";
import { runIn, waitFor } from "./places.ts";
import { projectFolder } from "../support/program/run-nodens.ts";

const serviceAddress = "10.96.0.53";

/** Rows of a cluster of two nodes. Its load is on the first. */
export function twoNodeRows(bed: () => Bed): void {
  describe("in mode service", () => serviceRows(bed));
  describe("with the overlay intercept", () => updateRows(bed));
}

function nodesOf({ cluster }: Bed): readonly [ClusterNode, ClusterNode] {
  const [first, second] = cluster.nodes;
  if (first === undefined || second === undefined) throw new Error("a cluster of two nodes has fewer");
  return [first, second];
}

/** nodens behind a Service that prefers the client's own node. */
function serviceRows(bed: () => Bed): void {
  const way = "service";
  const plain = plainLoad(bed, "beside-service");
  let ours: Load | undefined;

  const helm = (verb: string, ...args: string[]) => {
    const { cluster } = bed();
    const kubeconfig = ["--kubeconfig", cluster.controlPlane.adminKubeconfig, "--namespace", "kube-system"];
    return runIn(cluster.world, ["helm", verb, "nodens", ...args, ...kubeconfig], { namespaces: ["--net"] });
  };

  /** How many queries the pod of nodens on a node has had. */
  async function queriesAt(node: ClusterNode): Promise<number> {
    const [pod] = await podsOf(bed().cluster, node);
    const page = await runIn(node.place, [
      "curl",
      "-sf",
      "--max-time",
      "2",
      `http://${pod?.address ?? ""}:9253/metrics`,
    ]);
    const series = page.matchAll(/^coredns_dns_requests_total\{.*\} (\S+)$/gm);
    return series.reduce((sum, [, value]) => sum + Number(value), 0);
  }

  beforeAll(async () => {
    const chart = join(projectFolder, "deploy", "chart", "nodens");
    await helm("install", chart, "--set", "mode=service", "--set", `service.clusterIP=${serviceAddress}`);
    await rollOut(bed().cluster);
    ours = await startLoad(bed().cluster, { name: "service", nameserver: serviceAddress });
  });
  afterAll(async () => {
    if (ours !== undefined) await endLoad(bed().cluster, ours);
    await helm("uninstall");
    await waitUntilGone(bed().cluster);
  });

  function load(): Load {
    if (ours === undefined) throw new Error("the load did not start");
    return ours;
  }

  test("pods ask the nodens of their own node, and that of the other while theirs is away", async () => {
    const [first, second] = nodesOf(bed());
    const before = await Promise.all([queriesAt(first), queriesAt(second)]);
    await delay(5000);
    const after = await Promise.all([queriesAt(first), queriesAt(second)]);
    const [atOwn = 0, atOther = 0] = after.map((queries, index) => queries - (before[index] ?? 0));
    bed().report.note(
      "share of queries at the own node's nodens",
      way,
      `${Math.round((100 * atOwn) / (atOwn + atOther))} %`,
    );
    expect(atOwn).toBeGreaterThan(100);
    expect(atOther).toBeLessThan(atOwn / 100);

    const row = { what: "pod of nodens deleted", way, budget: { failed: 0, late: 0 }, beside: plain() } as const;
    await underLoad(bed(), load(), row, async () => {
      await deletePodOf(bed().cluster, first);
      await waitUntilNoneEnds(bed().cluster);
    });
    expect(await queriesAt(second)).toBeGreaterThan(after[1] ?? 0);
  });

  test("no new socket is led to a pod that has gone, whatever ports clients get while an update goes node by node", async () => {
    const row = { what: "update, node by node", way, budget: { failed: 0, late: 0 }, beside: plain() } as const;
    await underLoad(bed(), load(), row, async () => {
      await restartNodens(bed().cluster);
      await waitUntilNoneEnds(bed().cluster);
    });
  });
}

/** Updates, and a node that dies. */
function updateRows(bed: () => Bed): void {
  const way = "intercept";
  const plain = plainLoad(bed, "beside-update");

  beforeAll(async () => {
    await applyOverlay(bed().cluster, way);
  });

  test("an update goes node by node, and each node always has a pod that is ready", async () => {
    const { cluster, load } = bed();
    const row = { what: "update, node by node", way, budget: { failed: 0, late: 10 }, beside: plain() } as const;
    await underLoad(bed(), load, row, async () => {
      let isOver = false;
      const watched = watchPods(bed(), () => isOver);
      await restartNodens(cluster);
      isOver = true;
      const { mostStarting, leastReady } = await watched;
      expect({ mostStarting, leastReady }).toEqual({ mostStarting: 1, leastReady: 1 });
    });
  });

  test(
    "a node that dies with one of kube-dns's pods takes nothing from the other's pods",
    { timeout: 240_000 },
    async () => {
      const [, second] = nodesOf(bed());
      const row = {
        what: "a node with a pod of kube-dns dies",
        way,
        budget: { failed: 0, late: 20 },
        beside: plain(),
        addsPlain: false,
      } as const;
      await underLoad(bed(), bed().load, row, async () => {
        await die(bed(), second);
        await waitFor(`${second.name} is not ready`, () => isNotReady(bed(), second), 120_000);
      });
    },
  );

  test("an update goes past a dead node", { timeout: 240_000 }, async () => {
    const { cluster } = bed();
    const [first] = nodesOf(bed());
    const [old] = await podsOf(cluster, first);
    const began = performance.now();
    await cluster.kubectl(["-n", "kube-system", "rollout", "restart", "daemonset/nodens"]);
    await waitFor(
      "the living node has a new pod",
      async () => {
        const pods = await podsOf(cluster, first);
        return pods.length === 1 && pods[0]?.name !== old?.name && pods[0]?.isReady === true;
      },
      120_000,
    );
    bed().report.note("updated beside a dead node after", way, `${((performance.now() - began) / 1000).toFixed(1)} s`);
  });
}

/** Until it is over: on how many nodes at most a pod was starting, and how many that are ready a node had at least. */
async function watchPods(bed: Bed, isOver: () => boolean): Promise<{ mostStarting: number; leastReady: number }> {
  let mostStarting = 0;
  let leastReady = Infinity;
  while (!isOver()) {
    const pods = await allPods(bed.cluster);
    const byNode = bed.cluster.nodes.map((node) => pods.filter(({ nodeName }) => nodeName === node.name));
    mostStarting = Math.max(mostStarting, byNode.filter((each) => each.some(({ isReady }) => !isReady)).length);
    leastReady = Math.min(leastReady, ...byNode.map((each) => each.filter(({ isReady }) => isReady).length));
    await delay(200);
  }
  return { mostStarting, leastReady };
}

/** Cuts a node off, as a lost power supply does: nobody hears of it again. */
async function die({ cluster }: Bed, node: ClusterNode): Promise<void> {
  await runIn(cluster.world, ["ip", "link", "set", node.name, "down"], { namespaces: ["--net"] });
}

async function isNotReady({ cluster }: Bed, node: ClusterNode): Promise<boolean> {
  const status = 'jsonpath={.status.conditions[?(@.type=="Ready")].status}';
  return (await cluster.kubectl(["get", "node", node.name, "-o", status])) !== "True";
}
