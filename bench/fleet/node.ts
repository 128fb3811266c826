/*
 * One node of the fleet: the real upstream/ and resolve/ as the program joins them, on a simulated network, and the pods that ask it.
 */
import { createUpstreamFollower } from "../../src/app/follow-upstream.ts";
import { mutableLimitsOf, upstreamOptionsOf } from "../../src/app/parts-of-settings.ts";
import { createChain } from "../../src/resolve/create-chain.ts";
import { learnZone } from "../../src/resolve/learn-zone.ts";
import type { Answer } from "../../src/resolve/answer.ts";
import { isTopLevelDomain } from "../../src/search/top-level-domains.ts";
import { defaultSettings, type Settings } from "../../src/settings/settings-table.ts";
import { createServerCounters } from "../../src/upstream/server-counters.ts";
import { createUpstream, routeChooser } from "../../src/upstream/upstream.ts";
import { wireName } from "../../src/wire/name-text.ts";
import type { ClientQuery } from "../../src/wire/query.ts";
import { type Chance, countOf, waitMs } from "./chance.ts";
import type { EventClock } from "./event-clock.ts";
import { createNodeSockets } from "./network.ts";
import type { KubeDnsService } from "./kube-dns.ts";
import type { Traffic } from "./traffic.ts";
import { hashSeed, type NodeName } from "./workload.ts";

/** What a node is made of. */
export interface NodeParts {
  readonly clock: EventClock;
  readonly service: KubeDnsService;
  readonly chance: Chance;
  readonly traffic: Traffic;
  readonly names: readonly NodeName[];
  /** How busy it is at this moment; 1 is the mean. */
  activity(): number;
}

/** A node. */
export interface FleetNode {
  /** Starts nodens on it, for the first time or in the place of the one that runs: with an empty cache. */
  startNodens(): void;
}

/** The old process goes on answering for a while, and then lets its flows go. */
const drainMs = 5000;

const zone = wireName("cluster.local");
const settings: Settings = defaultSettings();
const limits = mutableLimitsOf(settings);
const upstreamOptions = upstreamOptionsOf(settings, [{ host: "10.96.0.10", port: 53 }]);

/** Creates a node without nodens. */
export function createNode(parts: NodeParts): FleetNode {
  const { clock, chance, names } = parts;
  const sockets = createNodeSockets(parts);
  let nodens: Nodens | undefined;

  /** Carries a lookup out, and the next one that may matter after it. */
  function lookUp(name: NodeName): void {
    if (nodens !== undefined) for (const query of name.queries) nodens.ask(query, name.client);
    const perSecond = name.lookupsPerSecond * parts.activity();
    const idleMs = nodens?.skip(name, perSecond) ?? 0;
    clock.after(idleMs + waitMs(chance, perSecond), () => lookUp(name));
  }

  return {
    startNodens() {
      const old = nodens;
      nodens = createNodens(parts, sockets);
      if (old === undefined)
        for (const name of names) clock.after(waitMs(chance, name.lookupsPerSecond), () => lookUp(name));
      else clock.after(drainMs, old.close);
    },
  };
}

interface Nodens {
  ask(query: ClientQuery, client: string): void;
  /** For how long lookups of this name will only find what is in the cache. Counts as many hits as come meanwhile. */
  skip(name: NodeName, perSecond: number): number;
  close(): void;
}

function createNodens(parts: NodeParts, sockets: ReturnType<typeof createNodeSockets>): Nodens {
  const { clock, chance, traffic } = parts;
  const counters = createServerCounters();
  const upstream = createUpstream({
    ...upstreamOptions,
    clock,
    sockets,
    countersFor: () => counters,
    onAllDown() {},
    onHealthChange: (_route, _server, isUp) => follow(isUp),
  });
  const choose = routeChooser(upstream.routes);
  const chain = createChain({
    limits,
    clock,
    zone,
    suffixes: [],
    loopSecret: "f1ee7",
    hashSeed,
    isTopLevelDomain,
    ask: upstream.ask,
    learnZone: async () => void (await learn()),
    onRuleOff() {},
    isAway: upstream.isAway,
    answersAtOnce: upstream.answersAtOnce,
    routeOf(name) {
      const { name: route, transport } = choose(name);
      return { route, transport };
    },
  });
  const { resolver, cache } = chain;
  const learn = () => learnZone(zone, { ...chain, clock });
  // A look for loops is a few questions when a server goes down, which meet nobody.
  const follow = createUpstreamFollower({ failures: chain.failures, clock, learn, watchForLoops: async () => {} });
  void learn();
  void upstream.probeAll();

  function note(answer: Answer): void {
    if (answer.kind === "error" || answer.kind === "dropped") traffic.noteLookup("failed");
    else if (answer.kind === "message" && answer.source === "stale") traffic.noteLookup("stale");
  }

  return {
    ask(query, client) {
      const nowMs = clock.nowMs();
      if (resolver.lookup(query, nowMs) !== undefined || resolver.deny(query, nowMs) !== undefined) return;
      const answer = resolver.resolve(query, client, (settled) => {
        traffic.noteWaiting(-1);
        note(settled);
      });
      if (answer === "later") traffic.noteWaiting(1);
      else note(answer);
    },
    skip({ queries }, perSecond) {
      const nowMs = clock.nowMs();
      const entries = queries.map((query) => cache.peek(query, nowMs));
      const idleMs = Math.min(...entries.map((entry) => quietUntilMs(entry, nowMs))) - nowMs;
      const hits = countOf(chance, (idleMs / 1000) * perSecond);
      // More make nothing more popular.
      for (let hit = 0; hit < Math.min(hits, mostHits); hit += 1)
        for (const entry of entries) if (entry !== undefined) cache.use(entry);
      return idleMs;
    },
    close: upstream.close,
  };
}

/** A name that was asked so often since it was stored is fetched ahead. */
const mostHits = 3;

/** Until when a hit on this entry only counts. */
function quietUntilMs(entry: ReturnType<ReturnType<typeof createChain>["cache"]["peek"]>, nowMs: number): number {
  if (entry === undefined) return nowMs;
  return entry.kind === "denial" ? entry.expiresAtMs : Math.max(nowMs, Math.min(entry.refreshAtMs, entry.expiresAtMs));
}
