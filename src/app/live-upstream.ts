/*
 * The upstream in force, across reloads: the servers in the settings or the embedded cluster DNS, the upstreams that a reload has replaced
 * but that still have questions under way, and the counters that outlive both.
 */
import type { ClusterDns } from "../cluster-dns/cluster-dns-server.ts";
import type { RouteTaken } from "../resolve/step.ts";
import type { Clock } from "../runtime/clock.ts";
import { formatServerAddress, type ServerAddress } from "../runtime/server-address.ts";
import type { Settings } from "../settings/settings-table.ts";
import type { ExchangeNote, ExchangeResult } from "../upstream/exchange-state.ts";
import { createServerCounters, type ServerCounters } from "../upstream/server-counters.ts";
import { transports } from "../upstream/transport.ts";
import { createUpstream, type Route, routeChooser, type Upstream } from "../upstream/upstream.ts";
import type { Question } from "../wire/question.ts";
import { upstreamOptionsOf } from "./parts-of-settings.ts";

/** The counters of one server of one route. */
export interface CountedServer {
  /** The name of the route. */
  readonly route: string;
  readonly address: ServerAddress;
  readonly counters: ServerCounters;
}

/** The upstream as the rest of nodens sees it. */
export interface LiveUpstream {
  /** Asks the upstream in force. `tell` is called once, and never before this returns. */
  ask(question: Question, tell: (result: ExchangeResult) => void): void;
  /** The route that a name (folded, wire form) would take. */
  routeOf(name: Uint8Array): RouteTaken;
  /** Whether no server of a name's route is up. */
  isAway(name: Uint8Array): boolean;
  /** Whether a route answers many questions at once at present (see Upstream). */
  answersAtOnce(route: string): boolean;
  /** The routes of the upstream in force. */
  routes(): readonly Route[];
  /** The upstream in force, which a reload may replace. */
  inForce(): Upstream;
  /** Puts the upstream of new settings in force. The old one still answers the questions it was asked. Rejects with the old one in force. */
  replace(settings: Settings): Promise<void>;
  /** The counters of every server since the start, including those that a reload has removed. */
  serverCounters(): Iterable<CountedServer>;
  /** How many questions went upstream while no server of their route was up. */
  asksWithoutServer(): number;
  /** Where the embedded cluster DNS answers; undefined if it does not run. */
  clusterDnsAddress(): ServerAddress | undefined;
  /** Closes all upstreams and the embedded cluster DNS. Questions under way fail. */
  close(): Promise<void>;
}

/** Called when a server of a route goes down or comes back. */
export type OnHealthChange = (route: string, server: ServerAddress, isUp: boolean) => void;

/** Called at the end of each question, with the name of its route. */
export type OnEnd = (route: string, note: ExchangeNote) => void;

/** Creates the upstream of `settings`. Rejects if the embedded cluster DNS is needed and cannot be started. */
export async function createLiveUpstream(
  settings: Settings,
  clock: Clock,
  onHealthChange: OnHealthChange,
  onEnd: OnEnd,
): Promise<LiveUpstream> {
  const counted = new Map<string, CountedServer>();
  const replaced = new Set<Upstream>();
  let asksWithoutServer = 0;
  let clusterDns: ClusterDns | undefined;
  let upstream = await createUpstreamOf(settings);
  let choose = routeChooser(routesTaken(upstream));
  let { deadlineMs } = settings.upstream;

  /**
   * The servers as configured or, if there are none and the settings ask for it, the embedded cluster DNS, which is started if it does
   * not run yet.
   */
  async function createUpstreamOf(wanted: Settings): Promise<Upstream> {
    const { servers, embedded } = wanted.upstream;
    if (servers.length === 0 && !embedded)
      throw new Error("upstream.servers is empty, and upstream.embedded is not set");
    const clusterServers = servers.length > 0 ? servers : [await embeddedServer(wanted)];
    return createUpstream({
      ...upstreamOptionsOf(wanted, clusterServers),
      clock,
      countersFor,
      onAllDown: () => void (asksWithoutServer += 1),
      onHealthChange,
      onEnd,
    });
  }

  async function embeddedServer({ cluster, listen, upstream: chosen }: Settings): Promise<ServerAddress> {
    // Loaded on demand: no cluster has need of it.
    const { startExampleZone } = await import("../cluster-dns/start-example-zone.ts");
    clusterDns ??= await startExampleZone({
      zone: cluster.domain,
      ownAddresses: listen.addresses,
      outside: chosen.embeddedOutside,
      clock,
    });
    return clusterDns.address;
  }

  function countersFor(route: string, address: ServerAddress): ServerCounters {
    const key = `${route} ${formatServerAddress(address)}`;
    const known = counted.get(key) ?? { route, address, counters: createServerCounters() };
    counted.set(key, known);
    return known.counters;
  }

  return {
    ask: (question, tell) => upstream.ask(question, tell),
    routeOf: (name) => choose(name).taken,
    isAway: (name) => upstream.isAway(name),
    answersAtOnce: (route) => upstream.answersAtOnce(route),
    routes: () => upstream.routes,
    inForce: () => upstream,
    async replace(wanted) {
      const old = upstream;
      upstream = await createUpstreamOf(wanted);
      choose = routeChooser(routesTaken(upstream));
      replaced.add(old);
      clock.after(deadlineMs, () => {
        replaced.delete(old);
        old.close();
      });
      ({ deadlineMs } = wanted.upstream);
    },
    serverCounters: () => counted.values(),
    asksWithoutServer: () => asksWithoutServer,
    clusterDnsAddress: () => clusterDns?.address,
    async close() {
      for (const each of [upstream, ...replaced]) each.close();
      await clusterDns?.close();
    },
  };
}

/** By zones: what questions are told about their route. */
function routesTaken({ routes }: Upstream): { readonly zones: readonly Uint8Array[]; readonly taken: RouteTaken }[] {
  return routes.map(({ name: route, transport, zones }) => ({ zones, taken: { route, transport } }));
}

/** The servers by route, as text for people. */
export function describeServers(routes: readonly Route[]): string {
  return routes
    .map((route) => `${route.name} -> ${addressesOf(route)} (${transports[route.transport].label})`)
    .join("; ");
}

/** The addresses of a route's servers, as text for people. */
export function addressesOf({ servers }: Route): string {
  return servers.map(({ address }) => formatServerAddress(address)).join(", ");
}
