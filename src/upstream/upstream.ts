/*
 * Everything that can be asked, behind one function: routes decide by name which servers are asked and over which transport; an exchange does
 * the asking.
 */
import type { Clock } from "../runtime/clock.ts";
import { formatServerAddress, type ServerAddress } from "../runtime/server-address.ts";
import { RrType } from "../wire/codes.ts";
import { isAtOrBelow } from "../wire/name.ts";
import { readU32 } from "../wire/octets.ts";
import { ownQuestion, type Question } from "../wire/question.ts";
import { answerAtOnce } from "./choose-path.ts";
import { createEarlySends, type EarlySends } from "./early-sends.ts";
import { exchange } from "./exchange.ts";
import type { ExchangeLimits, ExchangeNote, ExchangeParts, ExchangeResult } from "./exchange-state.ts";
import { createServer, type Server, type ServerLimits } from "./server.ts";
import type { ServerCounters } from "./server-counters.ts";
import { systemSockets } from "./transport.ts";
import type { Transport } from "../wire/transport.ts";
import type { OpenSocket } from "../flows/flow-socket.ts";

/** One route: questions for names at or below `zones` go to `servers`, preferably to the first that is up. */
export interface RouteDefinition {
  /** "cluster", "reverse", "outside" or a stub domain, as in metrics and logs. */
  readonly name: string;
  /** Folded, in wire form. */
  readonly zones: readonly Uint8Array[];
  readonly servers: readonly ServerAddress[];
  readonly transport: Transport;
}

/** What the upstream is made of. The routes must cover every name: the root zone belongs to one of them. */
export interface UpstreamOptions {
  readonly routes: readonly RouteDefinition[];
  readonly exchange: ExchangeLimits;
  readonly server: ServerLimits;
  readonly clock: Clock;
  /** What flows are built on. The system's sockets if left out. */
  readonly sockets?: Readonly<Record<Transport, OpenSocket>>;
  /** The counters of a route's server, kept by the caller: they outlive an upstream that a reload replaces. */
  countersFor(route: string, server: ServerAddress): ServerCounters;
  /** Called for each question whose route has no server that is up. The servers are asked all the same. */
  onAllDown(): void;
  /** Called at the end of each question, with the name of its route. */
  onEnd?(route: string, note: ExchangeNote): void;
  /** Called when a server of a route goes down or comes back. */
  onHealthChange(route: string, server: ServerAddress, isUp: boolean): void;
}

/** A route with its servers, for metrics and readiness. */
export interface Route {
  readonly name: string;
  readonly zones: readonly Uint8Array[];
  readonly transport: Transport;
  readonly servers: readonly Server[];
}

/** The upstream as the rest of nodens sees it. */
export interface Upstream {
  /** Asks the route of the question's name. `tell` is called once, and never before this returns: no promise for what is asked by the thousand. */
  ask(question: Question, tell: (result: ExchangeResult) => void): void;
  /** Whether no server of the name's route is up. They are asked all the same. */
  isAway(name: Uint8Array): boolean;
  /** Whether the route answers many questions at once at present, rather than one after the other. False for an unknown route. */
  answersAtOnce(route: string): boolean;
  /** Asks every server its probe question. Resolves when each has replied or failed to; never rejects. */
  probeAll(): Promise<void>;
  readonly routes: readonly Route[];
  /** Closes every flow; questions under way end with the failure "stopped". */
  close(): void;
}

/** Creates the upstream. Nothing is opened before something is asked. */
export function createUpstream(options: UpstreamOptions): Upstream {
  const shared: Shared = { servers: new Map(), earlySends: new Map() };
  const routes = options.routes.map((definition) => askedRoute(createRoute(definition, options, shared), options));
  const choose = routeChooser(routes);
  const everyServer = [...shared.servers.values()];
  const isAway = (name: Uint8Array) => !choose(name).servers.some(isUp);
  const ask: Upstream["ask"] = (question, tell) => {
    if (isAway(question.name)) options.onAllDown();
    exchange(question, choose(question.name).exchange, tell);
  };
  return {
    isAway,
    answersAtOnce(route) {
      const known = routes.find(({ name }) => name === route);
      return known !== undefined && answerAtOnce(known.servers, known.transport);
    },
    ask,
    async probeAll() {
      await Promise.all(everyServer.map((server) => server.probe()));
    },
    routes,
    close() {
      for (const server of everyServer) server.close();
    },
  };
}

/**
 * Returns a function that chooses the route for a name (folded, wire form): the one with the longest zone that the name is at or below. The
 * function throws if no route covers the name. It may be called with the same array again only if that has not changed.
 */
export function routeChooser<R extends { readonly zones: readonly Uint8Array[] }>(
  routes: readonly R[],
): (name: Uint8Array) => R {
  const byZone = routes
    .flatMap((route) => route.zones.map((zone) => ({ zone, route })))
    .toSorted((a, b) => b.zone.length - a.zone.length);
  // Most names share their end with no zone but the shortest.
  const byEnd = Map.groupBy(
    byZone.filter(({ zone }) => zone.length >= endSizeBytes),
    ({ zone }) => endOf(zone),
  );
  const short = byZone.filter(({ zone }) => zone.length < endSizeBytes);
  // The steps of a question ask about one name, an array that does not change, one after the other.
  let lastName: Uint8Array | undefined;
  let lastRoute: R | undefined;
  return (name) => {
    if (name === lastName && lastRoute !== undefined) return lastRoute;
    const zones = name.length < endSizeBytes ? undefined : byEnd.get(endOf(name));
    const found = (zones && findZone(name, zones)) ?? findZone(name, short);
    if (found === undefined) throw new Error("no route covers the root zone");
    lastName = name;
    lastRoute = found;
    return found;
  };
}

function isUp({ health }: Server): boolean {
  return health.isUp();
}

/** A route, and what its exchanges need. */
function askedRoute(route: Route, options: UpstreamOptions): Route & { readonly exchange: ExchangeParts } {
  const { name, servers, transport } = route;
  const onEnd = (note: ExchangeNote) => options.onEnd?.(name, note);
  return { ...route, exchange: { servers, transport, limits: options.exchange, clock: options.clock, onEnd } };
}

function findZone<R>(
  name: Uint8Array,
  zones: readonly { readonly zone: Uint8Array; readonly route: R }[],
): R | undefined {
  for (const { zone, route } of zones) if (isAtOrBelow(name, zone)) return route;
  return undefined;
}

/** So many octets are the end of a name. */
const endSizeBytes = 4;

function endOf(name: Uint8Array): number {
  return readU32(name, name.length - endSizeBytes);
}

/** What routes share: servers by transport and address, and by address what is known of loss on the way there. */
interface Shared {
  readonly servers: Map<string, Server>;
  readonly earlySends: Map<string, EarlySends>;
}

/** Routes over the same transport to the same address share a server: flows are few for each address, not for each route. */
function createRoute(definition: RouteDefinition, options: UpstreamOptions, shared: Shared): Route {
  const { name, zones, transport } = definition;
  const servers = definition.servers.map((address) => {
    const to = formatServerAddress(address);
    const key = `${transport} ${to}`;
    const known = shared.servers.get(key);
    if (known !== undefined) return known;
    const earlySends = shared.earlySends.get(to) ?? createEarlySends(options.clock);
    shared.earlySends.set(to, earlySends);
    const server = createServer({
      address,
      transport,
      sockets: options.sockets ?? systemSockets,
      probeQuestion: probeQuestionOf(definition),
      limits: options.server,
      clock: options.clock,
      earlySends,
      counters: options.countersFor(name, address),
      onHealthChange: (isUp) => options.onHealthChange(name, address, isUp),
    });
    shared.servers.set(key, server);
    return server;
  });
  return { name, zones, transport, servers };
}

/** The zone's own SOA, or the root's NS, which forwarders commonly probe with: cheap for the server, and any reply will do. */
function probeQuestionOf(definition: RouteDefinition): Question {
  const [zone] = definition.zones;
  const isRoot = zone === undefined || zone.length === 1;
  return isRoot ? ownQuestion(Uint8Array.of(0), RrType.NS) : ownQuestion(zone, RrType.SOA);
}
