/*
 * One question, asked until it is answered: which server is asked, over which transport, when again, and when to stop.
 *
 *   - at most `maxSends` packets leave for a question, over all transports and servers; while packets are being lost, as many over each
 *     transport (RFC 9520 §3.1), those beyond out of the budget for early sends;
 *   - a flow that owes answers and is silent is left at once for another that is proven; the first may still answer. The last send waits
 *     a moment for a flow that has answered since;
 *   - a flow that goes on answering others is not left: a slow name waits, unless later questions overtake it and the budget for early
 *     sends has room;
 *   - if such early sends help, packets are being lost: then questions go over UDP first, where a lost packet holds up no others, are sent
 *     again as soon as an answer is overdue, and from the third send on by turns over a connection, on which the kernel repairs losses;
 *   - after a lost connection or a closed port, the question is sent again elsewhere at once, or after a moment if there is nowhere else;
 *   - after a reply that was truncated or cut off, it is sent over a transport that does not truncate, if one works; if somebody is
 *     guessing at a socket, over the other transport;
 *   - after an error that EDNS may have caused, it is sent once more, plain, to the same server (RFC 6891 §7);
 *   - a refusal, or a reply that is not an answer, gets a second opinion, since the trouble may be the server's own; then it stands.
 */
import type { Flow } from "../flows/flow.ts";
import type { LossReason } from "../flows/loss-reason.ts";
import type { Question } from "../wire/question.ts";
import { firstTarget } from "./choose-path.ts";
import {
  askedServers,
  type Exchange,
  type ExchangeParts,
  type ExchangeResult,
  finish,
  finishWithWhatThereIs,
  maySend,
  nothingToCancel,
  type Sending,
  type SendingEvents,
} from "./exchange-state.ts";
import { watchAnswer } from "./overdue-answer.ts";
import { sendAgain } from "./send-again.ts";
import { send } from "./send-question.ts";
import { takeReply } from "./take-reply.ts";
import { transports } from "./transport.ts";

const none: readonly never[] = [];

/** What a flow reports about a packet of a question. */
const events: SendingEvents = { sent: onSent, silent: onSilent, replied: takeReply, lost: onLost };

/**
 * Asks a question. `tell` is called once, after at most `deadlineMs` and never before this returns, with what came of it; without servers
 * that is the failure "stopped".
 */
export function exchange(question: Question, parts: ExchangeParts, tell: (result: ExchangeResult) => void): void {
  const first = firstTarget(parts.servers, parts.transport);
  if (first === undefined) {
    queueMicrotask(() => tell({ failure: "stopped" }));
    return;
  }
  const { servers, transport, limits, clock, onEnd } = parts;
  const asked: Exchange = {
    servers,
    transport,
    limits,
    clock,
    onEnd,
    question,
    earlySends: first.server.earlySends,
    startedAtMs: clock.nowMs(),
    cancelDeadline: nothingToCancel,
    cancels: none,
    sendings: none,
    sends: 0,
    unsent: 0,
    refusals: 0,
    askedPlainly: undefined,
    isStarting: true,
    isDone: false,
    answered: undefined,
    cancelHold: undefined,
    lastFailure: "timeout",
    fallback: undefined,
    events,
    tell,
  };
  asked.cancelDeadline = clock.after(limits.deadlineMs, () => giveUp(asked));
  asked.earlySends.noteQuestion();
  send(asked, first);
  asked.isStarting = false;
}

function giveUp(asked: Exchange): void {
  for (const server of askedServers(asked)) server.noteGivenUp(asked.startedAtMs);
  finishWithWhatThereIs(asked);
}

function onSent(asked: Exchange, sending: Sending, flow: Flow): void {
  asked.sends += 1;
  sending.flow = flow;
  sending.order = flow.sentCount();
  sending.sentAtMs = asked.clock.nowMs();
  watchAnswer(asked, sending);
}

function onSilent(asked: Exchange, sending: Sending): void {
  sending.server.counters.losses.timeout += 1;
  if (asked.isDone) return;
  if (isAwaitedElsewhere(asked, sending)) return;
  asked.lastFailure = "timeout";
  // On a connection, the question at the head of the line may hold up the rest; on a socket, the kernel does not repair losses.
  sending.server.paths[transports[sending.path.transport].other].want();
  sendAgain(asked);
}

/** Whether an answer may still come on a flow that is not silent. */
function isAwaitedElsewhere({ sendings }: Exchange, sending: Sending): boolean {
  return sendings.some((each) => each !== sending && each.isOpen && each.flow?.isSilent() !== true);
}

function onLost(asked: Exchange, sending: Sending, reason: LossReason): void {
  sending.server.counters.losses[reason] += 1;
  sending.isOpen = false;
  if (asked.isDone) return;
  asked.lastFailure = reason;
  if (reason === "stopped") {
    finish(asked, { failure: reason });
    return;
  }
  if (isAwaitedElsewhere(asked, sending)) return;
  if (sending.flow === undefined) asked.unsent += 1;
  // There is a truncated reply, which tells the client what to do.
  if (asked.fallback !== undefined && asked.refusals === 0 && asked.sendings.length > 1) finishWithWhatThereIs(asked);
  else if (reason === "forgery" && maySend(asked)) {
    send(asked, { server: sending.server, path: sending.server.paths[transports[sending.path.transport].other] });
  } else sendAgain(asked);
}
