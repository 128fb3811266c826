/*
 * A node whose pods have asked for sixteen minutes, on a clock that costs nothing: the same queries, waits and causes in every run. What its
 * views show is made by the product from what the queries left behind.
 */
import { createHead } from "../../../src/app/told-head.ts";
import { hitDelaysOf, picturePartsOf, type SampledCounters, sampleCounters } from "../../../src/app/live-seen.ts";
import { seenPages } from "../../../src/app/seen-pages.ts";
import { explainPage } from "../../../src/explain/explain-page.ts";
import { framePage } from "../../../src/observe/page-frame.ts";
import { createHistogram, timeBoundsSeconds } from "../../../src/runtime/histogram.ts";
import { forEachInferringRule } from "../../../src/search/rules.ts";
import { createIncidents } from "../../../src/seen/incidents.ts";
import { defaultSettings, type Settings } from "../../../src/settings/settings-table.ts";
import { createServerCounters, type ServerCounters } from "../../../src/upstream/server-counters.ts";
import type { Question } from "../../../src/wire/question.ts";
import { a, aaaa, soa } from "../messages/messages.ts";
import { seededRandom } from "../network/upstream-world.ts";
import { createWorld, denial, nodata, type TypeName, type UpstreamReply } from "./create-world.ts";

/** A pod: how it asks, and for what. */
interface PlantedPod {
  readonly address: string;
  readonly namespace: string;
  readonly library: "musl" | "glibc" | "Go";
  /** As they are written. */
  readonly names: readonly string[];
  readonly lookupsPerSecond: number;
}

const pods: readonly PlantedPod[] = [
  {
    address: "10.244.3.17",
    namespace: "shop",
    library: "musl",
    names: ["api.example.com", "cart"],
    lookupsPerSecond: 4,
  },
  {
    address: "10.244.3.40",
    namespace: "shop",
    library: "musl",
    names: ["api.example.com", "db.data"],
    lookupsPerSecond: 3,
  },
  {
    address: "10.244.3.8",
    namespace: "batch",
    library: "Go",
    names: ["db.data.svc.cluster.local", "queue"],
    lookupsPerSecond: 3,
  },
  {
    address: "10.244.3.21",
    namespace: "web",
    library: "glibc",
    names: ["front", "cart.shop.svc.cluster.local."],
    lookupsPerSecond: 6,
  },
  {
    address: "10.244.3.22",
    namespace: "web",
    library: "glibc",
    names: ["front", "cdn.example.net"],
    lookupsPerSecond: 2,
  },
  { address: "10.244.3.30", namespace: "data", library: "glibc", names: ["legacy-cache"], lookupsPerSecond: 0.7 },
  { address: "10.244.3.51", namespace: "web", library: "musl", names: ["front"], lookupsPerSecond: 2 },
];

const services = new Set(
  ["cart.shop", "db.data", "queue.batch", "front.web"].map((name) => `${name}.svc.cluster.local`),
);
const outsideNames = new Set(["api.example.com", "cdn.example.net"]);

const seconds = 960;
/** When, before the end, replies to some pods were lost. */
const lostAgo = 372;

const lostLookups = [
  { pod: "10.244.3.17", name: "cart.shop.svc.cluster.local", port: 47_001, agoSeconds: lostAgo, waitMs: 2500 },
  { pod: "10.244.3.40", name: "db.data.svc.cluster.local", port: 47_002, agoSeconds: lostAgo, waitMs: 2500 },
  { pod: "10.244.3.17", name: "cart.shop.svc.cluster.local", port: 47_003, agoSeconds: lostAgo - 1, waitMs: 2500 },
  { pod: "10.244.3.21", name: "front.web.svc.cluster.local", port: 47_004, agoSeconds: lostAgo - 1, waitMs: 5000 },
] as const;

const kubeDns = { host: "10.96.0.10", port: 53 };

/** The views of the planted node. */
export interface PlantedNode {
  /** The whole page at `target`, "/?explain=NAME". */
  page(target?: string): string;
  /** The screen of `nodens top`, with parameters as /top takes them. */
  top(parameters?: Readonly<Record<string, string>>): string;
}

/** Lets it all happen, in a few seconds of the machine's time. */
export async function createPlantedNode(): Promise<PlantedNode> {
  const settings: Settings = { ...defaultSettings(), attach: { ...defaultSettings().attach, mode: "intercept" } };
  const world = createWorld({
    showsSchema: true,
    routeOf: (name) => ({
      route: isClusterName(name) ? "cluster" : "outside",
      transport: isClusterName(name) ? "tcp" : "udp",
    }),
  });
  const { clock, seen } = world;
  const random = seededRandom(13);
  const servers = { cluster: createServerCounters(), outside: createServerCounters() };
  Object.assign(servers.cluster.openFlows, { tcp: 2 });
  Object.assign(servers.outside.openFlows, { udp: 1 });
  let insertFailed = 0;
  const counters: SampledCounters = {
    listeners: () => Object.values(world.counters),
    receiveDrops: () => 0,
    conntrackLosses: () => conntrackOf(insertFailed),
    eventLoopDelays: () => createHistogram(timeBoundsSeconds),
    hitDelays: () => hitDelaysOf(Object.values(world.counters)),
    serverCounters: () => Object.entries(servers).map(([route, own]) => ({ route, address: kubeDns, counters: own })),
    attachment: { isFailOpen: () => false, podTroubles: () => [] },
  };
  const pictureParts = picturePartsOf(seen, settings);
  const incidents = createIncidents(pictureParts);
  const attachment = {
    isFailOpen: () => false,
    isComplete: () => true,
    intercepted: () => ({ addresses: 1, pods: undefined }),
    podTroubles: () => [],
  };
  const sinceMs = clock.nowMs() - daysMs;
  const reload = {
    counters: {
      succeeded: 1,
      failed: 0,
      wasLastSuccessful: true,
      lastAtMs: clock.nowMs(),
      inForceSinceMs: clock.nowMs(),
    },
    inForce: () => settings,
  };
  const readiness = () => ({ ready: true, reasons: [] });
  const head = createHead(
    { clock: { ...clock, nowMs: () => clock.nowMs() - sinceMs }, readiness, attachment, reload },
    settings,
    "0.2.0",
  );
  sampleCounters(pictureParts, counters, clock, incidents.look);

  let port = 20_000;
  async function asksBoth(pod: PlantedPod, name: string): Promise<void> {
    port = 20_000 + ((port + 7) % 30_000);
    const id = Math.floor(random() * 60_000);
    const isGo = pod.library === "Go";
    const second = pod.library === "musl" ? id + 1 : Math.floor(random() * 60_000);
    for (const [index, type] of (["A", "AAAA"] as const).entries()) {
      await world.asks(name, type, {
        client: pod.address,
        port: isGo ? port + index : port,
        id: index === 0 ? id : second,
        ...(isGo && { opt: { udpSize: 1232 } }),
      });
    }
    await answersAll();
  }

  /** Upstream answers what is open, after as long as such servers take. */
  async function answersAll(): Promise<void> {
    if (world.upstream.openCount() === 0) return;
    const startedAtMs = clock.nowMs();
    const isCluster = world.open().every((text) => text.includes("cluster.local"));
    await clock.advance(isCluster ? 0.5 + random() * 1.4 : 6 + random() * 34);
    await world.upstream.settlesAll((text, question) => {
      note(question, startedAtMs);
      return replyOf(text);
    });
  }

  function note(question: Question, startedAtMs: number): void {
    const route = isClusterName(question.name) ? "cluster" : "outside";
    const transport = route === "cluster" ? "tcp" : "udp";
    servers[route].sends[transport] += 1;
    const { nameHash, type } = question;
    const server = `${kubeDns.host}:${kubeDns.port}`;
    seen.trips.note({
      nameHash,
      type,
      route,
      server,
      transport,
      sends: 1,
      startedAtMs,
      endedAtMs: clock.nowMs(),
      failure: "",
    });
  }

  async function looksUp(pod: PlantedPod, written: string): Promise<void> {
    for (const name of walkOf(pod, written)) {
      await asksBoth(pod, name);
      if (exists(name)) return;
    }
  }

  async function losesReplies(agoSeconds: number): Promise<void> {
    for (const lost of lostLookups.filter((each) => each.agoSeconds === agoSeconds)) {
      insertFailed += 1;
      // Both at one moment, as libc sends them.
      const asks = () =>
        Promise.all(
          (["A", "AAAA"] as const).map((type, id) =>
            world.asks(lost.name, type, { client: lost.pod, port: lost.port, id }),
          ),
        );
      await asks();
      await answersAll();
      clock.after(lost.waitMs, () => void asks());
    }
  }

  const startMs = clock.nowMs();
  const owed = pods.map(() => 0);
  for (let second = 0; second < seconds; second += 1) {
    await losesReplies(seconds - second);
    for (const [index, pod] of pods.entries()) {
      owed[index] = (owed[index] ?? 0) + pod.lookupsPerSecond * (0.6 + 0.8 * random());
      for (; (owed[index] ?? 0) >= 1; owed[index] = (owed[index] ?? 0) - 1)
        await looksUp(pod, pod.names[Math.floor(random() * pod.names.length)] ?? "");
    }
    await clock.advance(Math.max(0, startMs + (second + 1) * 1000 - clock.nowMs()));
    await answersAll();
  }

  const rules = forEachInferringRule((rule) => world.isRuleOn(rule, clock.nowMs()));
  const state = { clusterDomain: settings.cluster.domain, source: "running", rules, foresee: world.foresee } as const;
  const pages = seenPages({
    parts: { clock, readiness, seen, attachment, reload, upstream: { routes: () => routesOf(servers) } },
    pictureParts,
    incidents,
    settings,
    head: () => ({ ...head.head(), node: "node-17", inForceSeconds: daysMs / 1000, upSeconds: daysMs / 1000 }),
    conntrack: () => conntrackOf(insertFailed),
    explain: (parameters) => explainPage(parameters, state),
  });
  const shown = (path: string, parameters: URLSearchParams) =>
    pages.get(path)?.(parameters) ?? { wrong: "no such page" };
  return {
    page(target = "/") {
      const made = shown("/", new URL(target, "http://localhost").searchParams);
      return "main" in made ? framePage(made.main) : JSON.stringify(made);
    },
    top(parameters = {}) {
      const made = shown("/top", new URLSearchParams(parameters));
      return "text" in made ? made.text : JSON.stringify(made);
    },
  };
}

const daysMs = 273_600_000;

function isClusterName(name: Uint8Array): boolean {
  return Buffer.from(name).toString("latin1").includes("cluster");
}

/** What a pod asks for in turn. */
function walkOf({ namespace }: PlantedPod, written: string): string[] {
  if (written.endsWith(".")) return [written.slice(0, -1)];
  return [
    `${written}.${namespace}.svc.cluster.local`,
    `${written}.svc.cluster.local`,
    `${written}.cluster.local`,
    written,
  ];
}

function exists(name: string): boolean {
  return services.has(name) || outsideNames.has(name);
}

function replyOf(text: string): UpstreamReply {
  const [name, type] = text.split(" ") as [string, TypeName];
  if (!exists(name)) return name.endsWith(".cluster.local") ? denial : { ...denial, authorities: [soa(".", 30, 30)] };
  if (type === "A") return { answers: [a(name, "10.96.4.2")] };
  return outsideNames.has(name) ? { answers: [aaaa(name, 7)] } : nodata;
}

function conntrackOf(insertFailed: number) {
  return { drop: 0, insertFailed, earlyDrop: 0, entries: 12_401, limit: 262_144 };
}

function routesOf(servers: Readonly<Record<string, ServerCounters>>) {
  return Object.entries(servers).map(([name, counters]) => ({
    name,
    servers: [
      {
        address: kubeDns,
        paths: { udp: { isFailed: () => false }, tcp: { isFailed: () => false } },
        health: { isUp: () => true },
        counters,
      },
    ],
  }));
}
