/*
 * The load: pods that look the same names up at a steady rate with glibc and musl, and what became of their lookups.
 */
import { closeSync, fstatSync, openSync, readdirSync, readSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { join } from "node:path";
import type { Cluster } from "./cluster.ts";
import { loadImages } from "./images.ts";
import { waitFor } from "./places.ts";

/** C libraries that look up. */
export const libraries = ["glibc", "musl"] as const;
export type Library = (typeof libraries)[number];

/** A lookup that has ended. */
interface Lookup {
  readonly number: number;
  readonly beganMs: number;
  readonly tookMs: number;
  readonly isAnswered: boolean;
  readonly name: string;
}

/** Lookups that began in a span of time, by what became of them. */
export interface LoadFigures {
  readonly lookups: number;
  /** Answered after more than a second. */
  readonly late: number;
  /** Ended with an error, or not within half a minute. */
  readonly failed: number;
  readonly slowestMs: number;
  /** Names of which a lookup failed, by library. */
  readonly failedNames: readonly string[];
}

/** Pods that look up. */
export interface Load {
  /** What became of the lookups that began between two moments (ms since 1970), as soon as that is known. */
  between(fromMs: number, toMs: number): Promise<LoadFigures>;
  /** The name of the pod with this library. */
  podName(library: Library): string;
}

/** Which load. */
export interface LoadOptions {
  /** Of the pods, followed by the library. */
  readonly name: string;
  /** What the pods ask instead of kube-dns. */
  readonly nameserver?: string;
  /** Lookups of each pod. */
  readonly perSecond?: number;
}

const lateMs = 1000;
const patienceMs = 30_000;
/** A Service by three of its names, a headless one, and names outside. */
const names = ["web", "web.shop", "api.shop.svc.cluster.local", "pair.shop", "www.example.com", "kubernetes.default"];

/** Starts a pod for each library on the first node, and resolves when both look up. The names must exist (names.yaml). */
export async function startLoad(cluster: Cluster, options: LoadOptions): Promise<Load> {
  const podName = (library: Library) => `${options.name}-${library}`;
  const perSecond = options.perSecond ?? 40;
  const pods = libraries.map((library) => podOf(podName(library), loadImages[library], perSecond, options.nameserver));
  await cluster.kubectl(["apply", "-f", "-"], JSON.stringify({ apiVersion: "v1", kind: "List", items: pods }));
  const [node] = cluster.nodes;
  const logs = libraries.map((library) =>
    followLog(join(node?.folder ?? "", "log", "pods"), `shop_${podName(library)}_`),
  );
  await waitFor("the load's pods look up", () => logs.every((log) => log().length > perSecond));

  async function lookupsOf(log: () => readonly Lookup[], fromMs: number, toMs: number): Promise<readonly Lookup[]> {
    const giveUpAt = performance.now() + patienceMs;
    for (;;) {
      const all = log();
      const inside = all.filter(({ beganMs }) => beganMs >= fromMs && beganMs <= toMs);
      const isPast = all.some(({ beganMs }) => beganMs > toMs);
      const lost = missing(inside, all);
      if (isPast && lost.length === 0) return inside;
      if (performance.now() > giveUpAt) return [...inside, ...lost];
      await delay(100);
    }
  }

  return {
    podName,
    async between(fromMs, toMs) {
      const found = await Promise.all(logs.map((log) => lookupsOf(log, fromMs, toMs)));
      const all = found.flat();
      const failedNames = libraries.flatMap((library, index) =>
        (found[index] ?? []).filter((lookup) => !lookup.isAnswered).map(({ name }) => `${library}: ${name}`),
      );
      return {
        lookups: all.length,
        late: all.filter(({ isAnswered, tookMs }) => isAnswered && tookMs > lateMs).length,
        failed: failedNames.length,
        slowestMs: Math.max(0, ...all.map(({ tookMs }) => tookMs)),
        failedNames: [...new Set(failedNames)],
      };
    },
  };
}

/** Removes a load's pods. */
export async function endLoad({ kubectl }: Cluster, load: Load): Promise<void> {
  await kubectl(["-n", "shop", "delete", "pod", ...libraries.map((library) => load.podName(library))]);
}

/** Lookups between the first and the last of these that have not ended. `all` may hold some of those that began a moment outside. */
function missing(inside: readonly Lookup[], all: readonly Lookup[]): Lookup[] {
  const ended = new Set(all.map(({ number }) => number));
  const numbers = inside.map(({ number }) => number);
  const last = Math.max(...numbers);
  const lost: Lookup[] = [];
  for (let number = Math.min(...numbers); number < last; number++) {
    if (!ended.has(number)) lost.push({ number, beganMs: 0, tookMs: patienceMs, isAnswered: false, name: "(no end)" });
  }
  return lost;
}

function podOf(name: string, image: string, perSecond: number, nameserver: string | undefined): object {
  const searches = ["shop.svc.cluster.local", "svc.cluster.local", "cluster.local"];
  const dnsConfig = { nameservers: [nameserver], searches, options: [{ name: "ndots", value: "5" }] };
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: "shop", labels: { app: "load" } },
    spec: {
      nodeName: "node1",
      terminationGracePeriodSeconds: 1,
      ...(nameserver === undefined ? {} : { dnsPolicy: "None", dnsConfig }),
      containers: [
        {
          name: "load",
          image,
          imagePullPolicy: "IfNotPresent",
          args: [String(perSecond), ...names],
          // As much as kube-dns: with none they would be the last to get a processor, and late by themselves.
          resources: { requests: { cpu: "100m" } },
        },
      ],
    },
  };
}

/** Reads what a pod's container has written so far, each time only what is new. */
function followLog(folder: string, podPrefix: string): () => readonly Lookup[] {
  const lookups: Lookup[] = [];
  let offset = 0;
  let rest = "";
  return () => {
    const pod = readdirSync(folder).find((name) => name.startsWith(podPrefix));
    if (pod === undefined) return lookups;
    const file = openSync(join(folder, pod, "load", "0.log"), "r");
    try {
      const buffer = Buffer.alloc(fstatSync(file).size - offset);
      offset += readSync(file, buffer, 0, buffer.length, offset);
      const lines = (rest + buffer.toString()).split("\n");
      rest = lines.pop() ?? "";
      lookups.push(...lines.map(parseLine).filter((lookup) => lookup !== undefined));
      return lookups;
    } finally {
      closeSync(file);
    }
  };
}

/** A line as containerd writes it: a moment, the stream, a mark, and what the load wrote. */
function parseLine(line: string): Lookup | undefined {
  const [, , , number, beganMs, tookMs, outcome, name = ""] = line.split(" ");
  if (outcome === undefined) return undefined;
  return {
    number: Number(number),
    beganMs: Number(beganMs),
    tookMs: Number(tookMs),
    isAnswered: outcome === "ok",
    name,
  };
}
