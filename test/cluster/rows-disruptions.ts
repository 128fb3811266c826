/*
 * What happens to nodens, to the node and to kube-dns, while pods look up.
 */
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { type Bed, type Budget, deleteKubeDnsPod, rollOutKubeDns, scaleKubeDns, underLoad } from "./bed.ts";
import { deletePodOf, failedProbes, nodensPid, podsOf, restartNodens, waitForRestart } from "./nodens-in-cluster.ts";
import { runIn, waitFor } from "./places.ts";
import type { Loads, Mode } from "./rows-install.ts";

/** A pod that starts takes a processor for a moment, for which a machine of two has nobody else. */
const none: Budget = { failed: 0, late: 10 };

/** Row 3, what happens to nodens and the node's own programs. */
export function disruptionRows(bed: () => Bed, way: Mode, { ours, plain }: Loads): void {
  const row = (what: string, budget: Budget, action: () => Promise<unknown>) =>
    underLoad(bed(), ours(), { what, way, budget, beside: plain() }, action);
  const failure = (what: string, budget: Budget, action: () => Promise<unknown>) =>
    underLoad(bed(), ours(), { what, way, budget, beside: plain(), isFailure: true }, action);
  const kill = async (signal: string) => {
    const { cluster, node } = bed();
    await runIn(node.place, ["kill", `-${signal}`, String(await nodensPid(cluster, node))]);
  };

  describe("pods go on looking up", () => {
    test("while nodens is rolled out, without a probe that fails", async () => {
      const beganMs = Date.now() - 1000;
      await row("`kubectl rollout restart`", none, () => restartNodens(bed().cluster));
      expect(await failedProbes(bed().cluster, beganMs)).toEqual([]);
    });

    test("when its pod is deleted", () =>
      row("pod of nodens deleted", none, () => deletePodOf(bed().cluster, bed().node)));

    test("when it is killed", () =>
      failure("`kill -9`", { failed: 0, late: 20 }, async () => {
        const { cluster, node } = bed();
        const [before] = await podsOf(cluster, node);
        await kill("KILL");
        await waitForRestart(cluster, node, before?.restarts ?? 0);
      }));

    if (way !== "intercept") return;

    test("when it hangs for some seconds", () =>
      failure("SIGSTOP, six seconds later SIGCONT", { failed: 0, late: 300 }, async () => {
        const { cluster, node } = bed();
        const pid = String(await nodensPid(cluster, node));
        await runIn(node.place, ["sh", "-c", 'kill -STOP "$0"; sleep 6; kill -CONT "$0"', pid]);
      }));

    test("when the kernel kills it for want of memory", async () => {
      await deletePodOf(bed().cluster, bed().node);
      await failure("OOM kill", { failed: 0, late: 20 }, () => killByMemory(bed()));
    });

    test("while kubelet and containerd are started again", async () => {
      await row("kubelet restarted", none, () => bed().node.restart("kubelet"));
      await row("containerd restarted", none, () => bed().node.restart("containerd"));
    });
  });
}

/**
 * Lets another process in nodens's cgroup take memory until the kernel has to choose, and nodens is what it chooses. At one go: meanwhile the
 * kernel takes nodens's pages, and it hangs.
 */
async function killByMemory({ cluster, node }: Bed): Promise<void> {
  const [before] = await podsOf(cluster, node);
  const pid = await nodensPid(cluster, node);
  const script = `
    echo 1000 >/proc/$0/oom_score_adj
    v1=$(sed -n 's/^[0-9]*:memory://p' /proc/$0/cgroup)
    v2=$(sed -n 's/^0:://p' /proc/$0/cgroup)
    for folder in /sys/fs/cgroup/memory$v1 /sys/fs/cgroup$v2; do
      [ -e $folder/cgroup.procs ] && break
    done
    echo $$ >$folder/cgroup.procs
    dd if=/dev/zero of=/dev/null bs=400M count=1 2>/dev/null &
    eater=$!
    while [ -e /proc/$0 ] && [ -e /proc/$eater ]; do sleep 0.1; done
    kill -KILL $eater 2>/dev/null; true`;
  await runIn(node.place, ["sh", "-c", script, String(pid)]);
  await waitForRestart(cluster, node, before?.restarts ?? 0);
}

/** Row 3, what happens to kube-dns; in the mode in which pods name kube-dns itself. */
export function kubeDnsRows(bed: () => Bed, { ours, plain }: Loads): void {
  const way = "intercept";
  const row = (what: string, budget: Budget, action: () => Promise<unknown>) =>
    underLoad(bed(), ours(), { what, way, budget, beside: plain() }, action);

  describe("pods go on looking up", () => {
    test("while kube-dns is rolled out", () => row("kube-dns rolled out", none, () => rollOutKubeDns(bed())));

    test("when a pod of kube-dns is deleted", () =>
      row("a pod of kube-dns deleted", none, () => deleteKubeDnsPod(bed())));

    test("while kube-dns is scaled", () => row("kube-dns scaled from 1 to 3 to 1", none, () => scaleAround(bed())));

    test("what is cached, with both C libraries, while there is no kube-dns", () =>
      withoutKubeDns(bed(), async () => {
        // Late is what waits when kube-dns goes; once that is known, nobody does.
        const budget = { failed: 0, late: 60 };
        const away = { what: "no kube-dns for 45 s", way, budget, beside: plain(), addsPlain: false } as const;
        await underLoad(bed(), ours(), away, async () => {
          await scaleKubeDns(bed(), 0);
          await delay(45_000);
          // Within the row: lookups that kube-dns's own clients have begun would else wait for their end.
          await scaleKubeDns(bed(), 2);
        });
      }));
  });

  test("a node that boots without kube-dns waits for it, and is not restarted", async () => {
    const { cluster, node } = bed();
    const [old] = await podsOf(cluster, node);
    const newPod = async () => (await podsOf(cluster, node)).find(({ name }) => name !== old?.name);
    const tookMs = await withoutKubeDns(bed(), async () => {
      await scaleKubeDns(bed(), 0);
      await cluster.kubectl(["-n", "kube-system", "delete", "pod", old?.name ?? ""]);
      await waitFor("there is another pod of nodens", async () => (await newPod())?.containerId !== undefined);
      await delay(10_000);
      expect(await newPod()).toMatchObject({ isReady: false, restarts: 0 });
    });
    const seconds = `${(tookMs / 1000).toFixed(1)} s`;
    bed().report.note("ready after kube-dns came, at a boot without it", way, seconds);
    expect(await newPod()).toMatchObject({ restarts: 0 });
  });
}

/**
 * Does something without kube-dns's pods, and lets them come back, whatever became of it. Returns how long nodens then took until it was
 * ready, in ms.
 */
async function withoutKubeDns(bed: Bed, action: () => Promise<unknown>): Promise<number> {
  const { cluster, node, probes } = bed;
  return probes.mayFail(async () => {
    try {
      await action();
    } finally {
      await scaleKubeDns(bed, 2);
    }
    const began = performance.now();
    await waitFor("nodens is ready", async () => (await podsOf(cluster, node))[0]?.isReady === true);
    return performance.now() - began;
  });
}

/** Scales kube-dns to one pod, to three, to one, and back to two. */
async function scaleAround(bed: Bed): Promise<void> {
  for (const replicas of [1, 3, 1, 2]) await scaleKubeDns(bed, replicas);
}
