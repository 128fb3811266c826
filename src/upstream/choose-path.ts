/*
 * Where a question goes: to which server, over which transport, on which flow. The first choice follows the order of the servers; every
 * later one follows what has answered since.
 */
import type { Flow } from "../flows/flow.ts";
import type { Path, Server } from "./server.ts";
import { transports, unrepaired } from "./transport.ts";
import type { Transport } from "../wire/transport.ts";

/** Where a question may go: a path, and one of its flows if a proven one was chosen. */
export interface Target {
  readonly server: Server;
  readonly path: Path;
  readonly flow?: Flow;
}

/** The path for a question's first send, or undefined if there are no servers. */
export function firstTarget(servers: readonly Server[], primary: Transport): Target | undefined {
  const server = leastReluctant(servers, primary);
  if (server === undefined) return undefined;
  const path = usablePath(server, server.earlySends.areHelping() ? unrepaired(primary) : primary);
  return { server, path: withoutQueue(server, path) };
}

/** Fewer questions are together on a connection by chance, and no reason to open flows over another transport. */
const crowdedLoad = 2;

/**
 * The path itself or, if the question would have to wait there behind others, the path over the other transport once that is proven. Until
 * then it is made ready in the background.
 */
function withoutQueue({ paths }: Server, path: Path): Path {
  const { isInOrder, other } = transports[path.transport];
  const load = isInOrder ? (path.leastLoad() ?? path.loadOnTrial()) : 0;
  if (load === 0 || !isWaitLong(path, load)) return path;
  if (paths[other].leastLoad() !== undefined) return paths[other];
  if (load >= crowdedLoad) paths[other].want();
  return path;
}

/** Whether a question waits long behind so many: surely on a flow that is being opened, on others as has been seen. */
function isWaitLong({ roundTrip, leastLoad }: Path, load: number): boolean {
  if (leastLoad() === undefined) return true;
  const isQueueing = roundTrip.isQueueing();
  if (isQueueing === undefined) return load >= crowdedLoad;
  return isQueueing && (load >= crowdedLoad || !roundTrip.takeTrial());
}

/**
 * Whether a question for these servers needs to wait behind no other: over the primary transport, as it has been seen not to, or over the one
 * that takes what would have to wait.
 */
export function answerAtOnce(servers: readonly Server[], primary: Transport): boolean {
  const { isInOrder, other } = transports[primary];
  if (!isInOrder) return true;
  return servers.some(({ health, paths }) => {
    if (!health.isUp()) return false;
    return paths[primary].roundTrip.isQueueing() === false || paths[other].leastLoad() !== undefined;
  });
}

/** Of equals, the first. */
function leastReluctant(servers: readonly Server[], primary: Transport): Server | undefined {
  if (servers.length === 1) return servers[0];
  let found: Server | undefined;
  let least = Infinity;
  for (const server of servers) {
    const its = reluctance(server, primary);
    if (its >= least) continue;
    found = server;
    least = its;
  }
  return found;
}

/** How unlikely it is that a server answers: lower is better. */
function reluctance({ health, paths }: Server, primary: Transport): number {
  const isTroubled = paths[primary].isTroubled() && paths[transports[primary].other].goodFlows().length === 0;
  return (health.isUp() ? 0 : 4) + (health.isRefusing() ? 2 : 0) + (isTroubled ? 1 : 0);
}

/** The path over the primary transport, or over the other one if the primary does not work; that is then tried again in the background. */
export function usablePath(server: Server, primary: Transport): Path {
  const wanted = server.paths[primary];
  const other = server.paths[transports[primary].other];
  if (!wanted.isTroubled() && !wanted.isFailed()) return wanted;
  wanted.want();
  const isOtherBetter = other.goodFlows().length > 0 || !(other.isTroubled() || other.isFailed());
  return isOtherBetter ? other : wanted;
}

/** Where a question has been sent before. */
export interface SentBefore {
  readonly flows: ReadonlySet<Flow>;
  readonly servers: ReadonlySet<Server>;
  /** Whether packets are being lost at present. */
  readonly isLossy: boolean;
  /** When it was first sent: what has answered since is the surest to answer. */
  readonly sinceMs: number;
}

/**
 * The best proven flow for a question that is sent again over one of `open`, preferably `wanted`, and one that has answered since the question
 * was first sent; undefined if there is none. One that it was sent on before is taken only while packets are being lost, and then last.
 */
export function nextTarget(
  servers: readonly Server[],
  open: readonly Transport[],
  wanted: Transport,
  before: SentBefore,
): Target | undefined {
  const targets = servers.flatMap((server) =>
    open.flatMap((name) => {
      const path = server.paths[name];
      return path
        .goodFlows()
        .filter((flow) => before.isLossy || !before.flows.has(flow))
        .map((flow) => ({ server, path, flow }));
    }),
  );
  const rank = ({ server, path, flow }: Target & { readonly flow: Flow }) =>
    (isFresh(flow, before) ? 0 : 8) +
    (server.health.isRefusing() ? 4 : 0) +
    (before.servers.has(server) ? 2 : 0) +
    (before.isLossy && path.transport !== wanted ? 32 : 0) +
    (before.flows.has(flow) ? 16 : 0) +
    (path.transport === wanted ? 0 : 1);
  return targets.toSorted((a, b) => rank(a) - rank(b))[0];
}

/** Whether a flow has answered since the question was first sent. */
export function isFresh(flow: Flow, before: SentBefore): boolean {
  return flow.lastHeardAtMs() > before.sinceMs;
}

/** The server to ask for a second opinion: the most likely to answer of those not asked yet; undefined if all were. */
export function otherServer(servers: readonly Server[], asked: ReadonlySet<Server>): Server | undefined {
  const others = servers.filter((server) => !asked.has(server));
  return others.find(({ health }) => health.isUp() && !health.isRefusing()) ?? others[0];
}
