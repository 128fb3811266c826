/*
 * Where a question is sent once more, when nothing came of it so far: on the best flow, or as soon as there is one.
 */
import { isFresh, nextTarget, otherServer, type Target, usablePath } from "./choose-path.ts";
import { askedServers, type Exchange, finishWithWhatThereIs, maySend } from "./exchange-state.ts";
import { send } from "./send-question.ts";
import type { Path } from "./server.ts";
import { transportNames, transports, unrepaired } from "./transport.ts";
import type { Transport } from "../wire/transport.ts";

/** How long the last send waits for a flow that has answered since the first send. */
const freshFlowMs = 800;

/** Sends once more on the best flow, or as soon as there is one. */
export function sendAgain(asked: Exchange): void {
  if (!maySend(asked)) return;
  const isLast = asked.sends === asked.limits.maxSends - 1 && !asked.earlySends.areHelping();
  const target = surestTarget(asked, isLast);
  if (target === undefined) hold(asked, isLast);
  else send(asked, target);
}

/** The flow on which an answer is most likely; undefined where none is proven, or none has answered since the first send if it must have. */
export function surestTarget(asked: Exchange, mustBeFresh: boolean): Target | undefined {
  const { servers, transport, sendings } = asked;
  const before = {
    flows: new Set(sendings.flatMap(({ flow }) => flow ?? [])),
    servers: askedServers(asked),
    isLossy: asked.earlySends.areHelping(),
    sinceMs: asked.startedAtMs,
  };
  const isOpen = (name: Transport) => mayUse(asked, name);
  const wanted = before.isLossy ? transportAgainstLoss(asked) : transport;
  const target = nextTarget(servers, transportNames.filter(isOpen), wanted ?? transport, before);
  return target?.flow === undefined || (mustBeFresh && !isFresh(target.flow, before)) ? undefined : target;
}

/** Whether one more send over this transport keeps its bound. */
function mayUse({ sendings, limits }: Exchange, transport: Transport): boolean {
  const sent = sendings.filter(
    ({ path, flow, isOpen }) => path.transport === transport && (flow !== undefined || isOpen),
  );
  return sent.length < limits.maxSends;
}

/** The transport for the next send while packets are being lost, if one may leave: after two where no packet holds up others, by turns. */
export function transportAgainstLoss(asked: Exchange): Transport | undefined {
  const last = asked.sendings.at(-1)?.path.transport ?? asked.transport;
  const best = asked.sendings.length < 2 ? unrepaired(last) : transports[last].other;
  return [best, transports[best].other].find((transport) => mayUse(asked, transport));
}

/** Waits for a flow to be proven, and takes whatever there is if none is proven in time. */
function hold(asked: Exchange, isLast: boolean): void {
  if (asked.cancelHold !== undefined) return;
  const { servers, transport, clock, sendings } = asked;
  for (const { paths } of servers) {
    for (const path of usablePathsOf(paths, transport)) {
      path.want();
      path.addFlow();
    }
  }
  const patienceMs = sendings.at(-1)?.path.roundTrip.patienceMs() ?? 0;
  const waitMs = isLast || asked.unsent > 0 ? freshFlowMs : patienceMs;
  const look = () => {
    const target = surestTarget(asked, isLast);
    if (target !== undefined) send(asked, target);
  };
  const cancels = servers.map((server) => server.onHeard(() => clock.afterIo(() => asked.cancelHold && look())));
  cancels.push(clock.after(waitMs, () => clock.afterIo(() => asked.cancelHold && sendAnywhere(asked))));
  asked.cancelHold = () => {
    asked.cancelHold = undefined;
    for (const cancel of cancels) cancel();
  };
}

function usablePathsOf(paths: Readonly<Record<Transport, Path>>, transport: Transport): Path[] {
  const wanted = paths[transport];
  return wanted.isFailed() ? [wanted, paths[transports[transport].other]] : [wanted];
}

function sendAnywhere(asked: Exchange): void {
  asked.cancelHold?.();
  if (asked.unsent >= asked.limits.maxSends) {
    finishWithWhatThereIs(asked);
    return;
  }
  const surest = surestTarget(asked, false);
  const last = asked.sendings.at(-1)?.server;
  const server = otherServer(asked.servers, askedServers(asked)) ?? last;
  if (surest !== undefined) send(asked, surest);
  else if (server !== undefined) send(asked, { server, path: usablePath(server, asked.transport) });
}
