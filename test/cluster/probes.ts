/*
 * Probes of nodens's pods that fail, over a whole run: ordinary starts have none, nor do pods that serve.
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

/**
 * Events, a line each; messages may have more lines. One event is told again whenever it happens again. No tab between the fields: kubectl
 * writes spaces for it.
 */
const line = 'jsonpath={.lastTimestamp}|{.reason}|{.involvedObject.name}|{.message}{"\\n"}';

/** Watches until the cluster is gone. */
export function watchProbes({ controlPlane, folder, programs, world }: Cluster): ProbeWatch {
  const spans: Span[] = [];
  const kubectl = [programs.paths["kubectl"] ?? "kubectl", "--kubeconfig", controlPlane.adminKubeconfig];
  const flags = ["--watch-only", "--namespace=kube-system", `--output=${line}`];
  const watch = startIn(world, "events", [...kubectl, "get", "events", ...flags], join(folder, "events.log"));
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
      if (watch.hasEnded()) throw new Error(`nobody watches events any more: ${watch.output().slice(-1000)}`);
      return probesThatFailed(watch.output(), spans);
    },
  };
}

/** Moments between which probes may fail (ms since 1970). */
export interface Span {
  readonly fromMs: number;
  readonly toMs: number;
}

/**
 * The lines of `events` that tell of a failed probe of a pod of nodens that is not ending, outside of `spans`. A pod that ends says by its
 * readiness probe that it does. Of a probe that was cut off with its container kubelet says "errored", which is no failure.
 */
export function probesThatFailed(events: string, spans: readonly Span[]): string[] {
  const lines = events.split("\n");
  const endsFrom = new Map<string, number>();
  lines.forEach((each, index) => {
    const pod = /^[^|]*\|Killing\|(nodens-[^|]+)\|Stopping container /.exec(each)?.[1];
    if (pod !== undefined && !endsFrom.has(pod)) endsFrom.set(pod, index);
  });
  return lines.filter((each, index) => {
    const [, moment = "", pod = ""] = /^([^|]*)\|Unhealthy\|(nodens-[^|]+)\|\w+ probe failed/.exec(each) ?? [];
    if (pod === "" || index > (endsFrom.get(pod) ?? Infinity)) return false;
    const atMs = Date.parse(moment);
    return !spans.some(({ fromMs, toMs }) => atMs >= fromMs && atMs <= toMs);
  });
}
