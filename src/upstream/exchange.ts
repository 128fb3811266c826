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
import type { Clock } from "../runtime/clock.ts";
import type { ServerAddress } from "../runtime/server-address.ts";
import { Rcode } from "../wire/codes.ts";
import { composeQuery, type Question } from "../wire/question.ts";
import type { Reply } from "../wire/reply.ts";
import type { Attempt, Cancel } from "../flows/attempt.ts";
import { firstTarget, isFresh, nextTarget, otherServer, type Target, usablePath } from "./choose-path.ts";
import type { EarlySends } from "./early-sends.ts";
import type { Flow } from "../flows/flow.ts";
import type { Heard } from "../flows/heard-reply.ts";
import type { LossReason } from "../flows/loss-reason.ts";
import { stoodStillMs } from "../flows/silence-watch.ts";
import { composePlainQuery } from "./plain-query.ts";
import { isAboutForm, judgeReply } from "./reply-verdict.ts";
import type { Path, Server } from "./server.ts";
import { transportNames, transports, unrepaired } from "./transport.ts";
import type { Transport } from "../wire/transport.ts";

/** What came of a question: a reply that repeats it, or why there is none. */
export type ExchangeResult = { readonly reply: Reply } | { readonly failure: LossReason };

/** Limits of an exchange (settings: upstream). */
export interface ExchangeLimits {
  readonly maxSends: number;
  /** How long until the whole exchange is given up. */
  readonly deadlineMs: number;
}

/** What an exchange took, for those who look on. */
export interface ExchangeNote {
  readonly question: Question;
  /** Who answered or, without an answer, who was asked last, and how; undefined if nobody was. */
  readonly last: { readonly address: ServerAddress; readonly transport: Transport } | undefined;
  readonly sends: number;
  readonly startedAtMs: number;
  /** Why there was no reply, if there was none. */
  readonly failure: LossReason | undefined;
}

/** What an exchange needs besides its question. */
export interface ExchangeParts {
  /** In order of preference. */
  readonly servers: readonly Server[];
  /** The transport over which they are asked first. */
  readonly transport: Transport;
  readonly limits: ExchangeLimits;
  readonly clock: Clock;
  /** Called once, at the end. */
  readonly onEnd: ((note: ExchangeNote) => void) | undefined;
}

/** With only one server, it is no use asking again in the same millisecond. */
const sameServerPauseMs = 150;

/** How long the last send waits for a flow that has answered since the first send. */
const freshFlowMs = 800;

/** A client that is told of the truncation asks again over TCP by itself, which is better than waiting for a connection that may be blocked. */
const untruncatedMs = 1000;

/** Answers may be out of order by this much when everything is busy. */
const leastEarlyMs = 100;

/** A name may take this long before the flow that it was asked on is doubted. */
const leastDoubtMs = 600;

const none: readonly never[] = [];

/** One attempt at the question. */
interface Sending extends Attempt {
  readonly asked: Exchange;
  readonly server: Server;
  readonly path: Path;
  readonly isPlain: boolean;
  readonly isEarly: boolean;
  flow: Flow | undefined;
  order: number;
  sentAtMs: number;
  isOpen: boolean;
  cancel: Cancel;
  cancelWatch: Cancel;
  /** Whether it would have been sent again early if the budget had had room. */
  wasRefusedBudget: boolean;
}

interface Exchange extends ExchangeParts {
  readonly question: Question;
  /** Those of the server that is asked first. */
  readonly earlySends: EarlySends;
  readonly startedAtMs: number;
  cancelDeadline: Cancel;
  /** Of the few other timers that are not a sending's own. */
  cancels: readonly Cancel[];
  /** Mostly one: an array that grows takes room for many. */
  sendings: readonly Sending[];
  /** How many left. */
  sends: number;
  /** How many were lost because there was no flow at all. */
  unsent: number;
  refusals: number;
  /** The server that did not take the question as it was. */
  askedPlainly: Server | undefined;
  /** As long as `exchange` has not returned. */
  isStarting: boolean;
  isDone: boolean;
  /** The sending whose reply was the last to come. */
  answered: Sending | undefined;
  cancelHold: Cancel | undefined;
  lastFailure: LossReason;
  /** A reply that is better than none: truncated, or a refusal that a second server may overrule. */
  fallback: Reply | undefined;
  readonly tell: (result: ExchangeResult) => void;
}

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
    tell,
  };
  asked.cancelDeadline = clock.after(limits.deadlineMs, () => giveUp(asked));
  asked.earlySends.noteQuestion();
  send(asked, first);
  asked.isStarting = false;
}

function finish(asked: Exchange, result: ExchangeResult): void {
  if (asked.isDone) return;
  asked.isDone = true;
  asked.cancelHold?.();
  asked.cancelDeadline();
  for (const cancel of asked.cancels) cancel();
  for (const sending of asked.sendings) {
    sending.cancel();
    sending.cancelWatch();
  }
  asked.onEnd?.(noteOf(asked, result));
  if (asked.isStarting) queueMicrotask(() => asked.tell(result));
  else asked.tell(result);
}

function noteOf({ question, sendings, answered, sends, startedAtMs }: Exchange, result: ExchangeResult): ExchangeNote {
  const sending = answered ?? sendings.at(-1);
  const last = sending && { address: sending.server.address, transport: sending.path.transport };
  return { question, last, sends, startedAtMs, failure: "failure" in result ? result.failure : undefined };
}

function giveUp(asked: Exchange): void {
  const { startedAtMs, sendings } = asked;
  for (const server of new Set(sendings.map((sending) => sending.server))) server.noteGivenUp(startedAtMs);
  finishWithWhatThereIs(asked);
}

function finishWithWhatThereIs(asked: Exchange): void {
  finish(asked, asked.fallback === undefined ? { failure: asked.lastFailure } : { reply: asked.fallback });
}

/** Whether one more send may leave. If not, and nothing is awaited any more, the exchange ends. */
function maySend(asked: Exchange): boolean {
  if (asked.isDone) return false;
  if (asked.sends < asked.limits.maxSends) return true;
  if (!asked.sendings.some(({ isOpen }) => isOpen)) finishWithWhatThereIs(asked);
  return false;
}

function send(asked: Exchange, target: Target, how: { isPlain?: boolean; isEarly?: boolean } = {}): void {
  const { server, path, flow } = target;
  const { isPlain = isPlainBetter(asked, server), isEarly = false } = how;
  const { question, clock } = asked;
  asked.cancelHold?.();
  asked.cancelHold = undefined;
  const sending: Sending = {
    question,
    packet: isPlain ? composePlainQuery(question) : composeQuery(question),
    server,
    path,
    isPlain,
    isEarly,
    flow: undefined,
    order: 0,
    sentAtMs: clock.nowMs(),
    isOpen: true,
    cancel: nothingToCancel,
    cancelWatch: nothingToCancel,
    wasRefusedBudget: false,
    asked,
    onSent: sentEvent,
    onSilent: silentEvent,
    onReply: replyEvent,
    onLost: lostEvent,
  };
  asked.sendings = [...asked.sendings, sending];
  sending.cancel = flow === undefined ? path.send(sending) : path.sendOn(flow, sending);
}

// What a flow reports about a sending: functions that all of them share, and not four new ones for each.

function sentEvent(this: Sending, flow: Flow): void {
  onSent(this.asked, this, flow);
}

function silentEvent(this: Sending): void {
  onSilent(this.asked, this);
}

function replyEvent(this: Sending, heard: Heard): void {
  onReply(this.asked, this, heard);
}

function lostEvent(this: Sending, reason: LossReason): void {
  onLost(this.asked, this, reason);
}

const nothingToCancel = () => {};

/** Calls `action` after `delayMs`, unless the exchange ends before. */
function callLater(asked: Exchange, delayMs: number, action: () => void): void {
  asked.cancels = [...asked.cancels, asked.clock.after(delayMs, action)];
}

function onSent(asked: Exchange, sending: Sending, flow: Flow): void {
  asked.sends += 1;
  sending.flow = flow;
  sending.order = flow.sentCount();
  sending.sentAtMs = asked.clock.nowMs();
  watch(asked, sending, overdueMs(asked, sending));
}

/** The last send to a server from which nothing with OPT ever came back is plain: something on the way may swallow OPT. */
function isPlainBetter({ sends, limits }: Exchange, { edns }: Server): boolean {
  return !edns.mayUse() || (!edns.hasWorked() && sends > 0 && sends === limits.maxSends - 1);
}

/** How long an answer may take before something is done about it; under loss, longer and longer from the third send on. */
function overdueMs({ sends, earlySends }: Exchange, { server, path }: Sending): number {
  if (!earlySends.areHelping()) return path.roundTrip.patienceMs();
  const quickestMs = Math.min(...Object.values(server.paths).map(({ roundTrip }) => roundTrip.patienceMs()));
  return quickestMs * 2 ** Math.max(0, sends - 2);
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

/** Sends once more on the best flow, or as soon as there is one. */
function sendAgain(asked: Exchange): void {
  if (!maySend(asked)) return;
  const isLast = asked.sends === asked.limits.maxSends - 1 && !asked.earlySends.areHelping();
  const target = surestTarget(asked, isLast);
  if (target === undefined) hold(asked, isLast);
  else send(asked, target);
}

function surestTarget(asked: Exchange, mustBeFresh: boolean): Target | undefined {
  const { servers, transport, sendings } = asked;
  const before = {
    flows: new Set(sendings.flatMap(({ flow }) => flow ?? [])),
    servers: new Set(sendings.map(({ server }) => server)),
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
function transportAgainstLoss(asked: Exchange): Transport | undefined {
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
  const server = otherServer(asked.servers, new Set(asked.sendings.map((each) => each.server))) ?? last;
  if (surest !== undefined) send(asked, surest);
  else if (server !== undefined) send(asked, { server, path: usablePath(server, asked.transport) });
}

function onReply(asked: Exchange, sending: Sending, heard: Heard): void {
  sending.server.noteReply(sending.path, sending.flow, sending.sentAtMs, heard);
  sending.isOpen = false;
  if (asked.isDone) return;
  asked.answered = sending;
  const { server, path, isPlain } = sending;
  const verdict = judgeReply(heard, asked.question, isPlain, transports[path.transport].mayTruncate);
  if (!isPlain && heard.kind === "whole" && heard.reply.hasEdns && verdict.kind === "answer") server.edns.noteWorked();
  switch (verdict.kind) {
    case "answer":
      noteAnswer(asked, sending);
      finish(asked, { reply: verdict.reply });
      break;
    case "truncated":
      asked.fallback = verdict.reply;
      sendUntruncated(asked, sending);
      break;
    case "plainly":
      asked.fallback ??= verdict.reply;
      asked.askedPlainly = server;
      if (maySend(asked)) send(asked, sameFlow(sending), { isPlain: true });
      break;
    case "refusal":
      onRefusal(asked, sending, verdict.reply);
  }
}

function noteAnswer({ sendings, earlySends, askedPlainly, clock }: Exchange, sending: Sending): void {
  const tookMs = clock.nowMs() - sending.sentAtMs;
  const wasQuick = tookMs <= sending.path.roundTrip.patienceMs();
  for (const { isOpen, flow, path, sentAtMs, order } of sendings) {
    if (!isOpen || flow === undefined || !wasQuick) continue;
    flow.noteAnsweredElsewhere(order);
    const hasWaited = clock.nowMs() - sentAtMs >= leastDoubtMs;
    if (path === sending.path && hasWaited && flow.lastAnsweredAtMs() <= sentAtMs) path.doubt(flow);
  }
  const { server, isPlain, isEarly } = sending;
  server.health.noteVerdict(false);
  if (isPlain && server === askedPlainly) server.edns.notePlainHelped();
  if (isEarly && sendings.some((each) => each !== sending && each.isOpen)) {
    if (wasQuick) server.counters.earlySends.helped += 1;
    earlySends.noteHelped(sendings.filter((each) => each.isEarly).length, wasQuick);
  }
}

function sameFlow({ server, path, flow }: Sending): Target {
  return flow?.isGood() === true ? { server, path, flow } : { server, path };
}

/** Sends over the transport that does not truncate, unless that is known not to work; then the client gets the truncated reply at once. */
function sendUntruncated(asked: Exchange, { server, path }: Sending): void {
  const whole = server.paths[transports[path.transport].other];
  if (whole.isFailed() || whole.isTroubled()) {
    whole.want();
    finishWithWhatThereIs(asked);
    return;
  }
  callLater(asked, untruncatedMs, () => finishWithWhatThereIs(asked));
  if (maySend(asked)) send(asked, { server, path: whole });
}

function onRefusal(asked: Exchange, { server, path, isPlain }: Sending, reply: Reply | undefined): void {
  server.health.noteVerdict(true);
  asked.refusals += 1;
  if (reply === undefined) asked.lastFailure = "unusable";
  // A reply about EDNS says less than one about the name.
  else if (asked.fallback === undefined || isAboutForm(asked.fallback)) asked.fallback = reply;
  if (asked.sendings.some(({ isOpen }) => isOpen)) return;
  const next = otherServer(asked.servers, new Set(asked.sendings.map((each) => each.server)));
  if (asked.refusals > 1 || (next === undefined && reply !== undefined && standsAlone(reply, isPlain))) {
    finishWithWhatThereIs(asked);
  } else if (next !== undefined) {
    if (maySend(asked)) send(asked, { server: next, path: usablePath(next, asked.transport) });
  } else {
    const again = () => {
      if (maySend(asked)) send(asked, { server, path });
    };
    callLater(asked, sameServerPauseMs, again);
  }
}

/** Whether the only server would say the same again: neither the question's form nor a delegation would change. */
function standsAlone(reply: Reply, wasPlain: boolean): boolean {
  return (wasPlain && isAboutForm(reply)) || reply.rcode === Rcode.NOERROR;
}
