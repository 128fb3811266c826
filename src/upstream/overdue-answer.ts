/*
 * What is done about an answer that is overdue: it may be slow, overtaken, or lost with its packet.
 */
import type { Flow } from "../flows/flow.ts";
import { stoodStillMs } from "../flows/silence-watch.ts";
import type { Exchange, Sending } from "./exchange-state.ts";
import { sendAgain, surestTarget, transportAgainstLoss } from "./send-again.ts";
import { send } from "./send-question.ts";
import { transports } from "./transport.ts";

/** Answers may be out of order by this much when everything is busy. */
const leastEarlyMs = 100;

/** A name may take this long before the flow that it was asked on is doubted. */
export const leastDoubtMs = 600;

/** Looks, when the answer to a packet that has just left is overdue, whether the question should be sent again. */
export function watchAnswer(asked: Exchange, sending: Sending): void {
  watch(asked, sending, overdueMs(asked, sending));
}

/** Looks after `delayMs` whether a question that has no answer yet should be sent again. */
function watch(asked: Exchange, sending: Sending, delayMs: number): void {
  const { clock } = asked;
  const dueMs = clock.nowMs() + delayMs;
  sending.cancelWatch = clock.after(delayMs, () => {
    const wasLate = clock.nowMs() - dueMs > stoodStillMs;
    // What is already in the sockets counts before a timer that is due in the same turn.
    clock.afterIo(() => {
      if (asked.isDone || !sending.isOpen) return;
      if (wasLate) watch(asked, sending, delayMs);
      else onOverdue(asked, sending);
    });
  });
}

/** How long an answer may take before something is done about it; under loss, longer and longer from the third send on. */
function overdueMs({ sends, earlySends }: Exchange, { server, path }: Sending): number {
  if (!earlySends.areHelping()) return path.roundTrip.patienceMs();
  const quickestMs = Math.min(...Object.values(server.paths).map(({ roundTrip }) => roundTrip.patienceMs()));
  return quickestMs * 2 ** Math.max(0, sends - 2);
}

function onOverdue(asked: Exchange, sending: Sending): void {
  if (hasLater(asked, sending)) return;
  if (asked.earlySends.areHelping()) {
    sendAgainstLoss(asked, sending);
    return;
  }
  const { clock, limits } = asked;
  const { flow, path, server } = sending;
  const waitedMs = clock.nowMs() - sending.sentAtMs;
  const slowNameMs = path.roundTrip.slowNameMs() * 2 ** (asked.sends - 1);
  // The flow's own watch decides about silence, for all the answers that it owes.
  if (flow === undefined || flow.isSilent()) return;
  if (waitedMs >= slowNameMs) {
    server.counters.losses.timeout += 1;
    server.paths[transports[path.transport].other].want();
    sendAgain(asked);
    return;
  }
  const patienceMs = path.roundTrip.patienceMs();
  const wasOvertaken = flow.lastAnsweredOrder() > sending.order && waitedMs >= leastEarlyMs;
  const mayBeLost = wasOvertaken || isDoubtful(sending, flow, waitedMs);
  if (mayBeLost && asked.sends < limits.maxSends && sendEarly(asked, sending)) return;
  watch(asked, sending, Math.max(1, Math.min(patienceMs, slowNameMs - waitedMs)));
}

/** While packets are being lost, so is probably an answer that is overdue, whatever its flow answers to others. */
function sendAgainstLoss(asked: Exchange, sending: Sending): void {
  const transport = transportAgainstLoss(asked);
  if (transport === undefined) return;
  const { server } = sending;
  server.paths[transports[transport].other].want();
  const target = surestTarget(asked, false) ?? { server, path: server.paths[transport] };
  if (takeEarly(asked, sending)) send(asked, target, { isEarly: true });
  else watch(asked, sending, overdueMs(asked, sending));
}

/** Sends once more out of the budget, if there is a flow for it; if there is none, one is opened for later. */
function sendEarly(asked: Exchange, sending: Sending): boolean {
  const target = surestTarget(asked, false);
  if (target === undefined) {
    sending.path.addFlow();
    return false;
  }
  if (!takeEarly(asked, sending)) return false;
  send(asked, target, { isEarly: true });
  return true;
}

function takeEarly({ earlySends }: Exchange, sending: Sending): boolean {
  const { counters } = sending.server;
  const isTaken = earlySends.take();
  if (isTaken) counters.earlySends.sent += 1;
  else if (!sending.wasRefusedBudget) counters.earlySends.overBudget += 1;
  sending.wasRefusedBudget = !isTaken;
  return isTaken;
}

/**
 * Whether the flow has since answered only nodens's own questions, and for so long that this question may be lost, though a slow name is
 * more likely.
 */
function isDoubtful({ path, sentAtMs }: Sending, flow: Flow, waitedMs: number): boolean {
  const isAlive = flow.lastHeardAtMs() > sentAtMs && flow.lastAnsweredAtMs() <= sentAtMs;
  return isAlive && waitedMs >= Math.max(leastDoubtMs, 4 * path.roundTrip.patienceMs());
}

/** Whether the question has been sent again since; then the later sending is the one that is watched. */
function hasLater({ sendings }: Exchange, sending: Sending): boolean {
  return sendings.indexOf(sending) < sendings.length - 1;
}
