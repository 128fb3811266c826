/*
 * Probes of nodens's pods that fail, over a whole run: ordinary starts and ends have none.
 */
import { join } from "node:path";
import type { Cluster } from "./cluster.ts";
import { startIn } from "./places.ts";

/** Follows what kubelet says of probes. */
export interface ProbeWatch {
  /** Does something after which probes fail rightly, and may do so for some seconds more. */
  mayFail<T>(action: () => Promise<T>): Promise<T>;
  /** Probes that failed at other times, a line each: when, which pod, what kubelet said. */
  failed(): string[];
}

/** kubelet looks every few seconds, and its events have whole ones. */
const graceMs = 6000;

/** Events of probes, a line each; messages may have more lines. One event is told again whenever it happens again. */
const line = 'jsonpath={.lastTimestamp}{"\\t"}{.involvedObject.name}{"\\t"}{.message}{"\\n"}';

/** Watches until the cluster is gone. A probe that was cut off with its container, at its end, has not failed: kubelet says of it "errored". */
export function watchProbes({ controlPlane, folder, programs, world }: Cluster): ProbeWatch {
  const spans: { readonly fromMs: number; readonly toMs: number }[] = [];
  const flags = ["--watch-only", "--namespace=kube-system", "--field-selector=reason=Unhealthy", `--output=${line}`];
  const kubectl = [programs.paths["kubectl"] ?? "kubectl", "--kubeconfig", controlPlane.adminKubeconfig];
  const watch = startIn(
    world,
    "events of probes",
    [...kubectl, "get", "events", ...flags],
    join(folder, "probe-events.log"),
  );
  return {
    async mayFail(action) {
      const fromMs = Date.now();
      try {
        return await action();
      } finally {
        spans.push({ fromMs: fromMs - 1000, toMs: Date.now() + graceMs });
      }
    },
    failed() {
      if (watch.hasEnded()) throw new Error(`nobody watches probes any more: ${watch.output().slice(-1000)}`);
      return watch
        .output()
        .split("\n")
        .filter((each) => /^\S+\tnodens-\S+\t\w+ probe failed/.test(each))
        .filter((each) => {
          const atMs = Date.parse(each.split("\t")[0] ?? "");
          return !spans.some(({ fromMs, toMs }) => atMs >= fromMs && atMs <= toMs);
        });
    },
  };
}
