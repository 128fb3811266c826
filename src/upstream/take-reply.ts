/*
 * What is done with what a server replies: it may be the answer, or a reason to ask in another way, or elsewhere.
 */
import type { Heard } from "../flows/heard-reply.ts";
import { Rcode } from "../wire/codes.ts";
import type { Reply } from "../wire/reply.ts";
import { otherServer, type Target, usablePath } from "./choose-path.ts";
import {
  askedServers,
  callLater,
  type Exchange,
  finish,
  finishWithWhatThereIs,
  maySend,
  type Sending,
} from "./exchange-state.ts";
import { leastDoubtMs } from "./overdue-answer.ts";
import { isAboutForm, judgeReply } from "./reply-verdict.ts";
import { send } from "./send-question.ts";
import { transports } from "./transport.ts";

/** With only one server, it is no use asking again in the same millisecond. */
const sameServerPauseMs = 150;

/** A client that is told of the truncation asks again over TCP by itself, which is better than waiting for a connection that may be blocked. */
const untruncatedMs = 1000;

/** Takes a reply to this sending. After the end only its server and its flow learn from it. */
export function takeReply(asked: Exchange, sending: Sending, heard: Heard): void {
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
  const next = otherServer(asked.servers, askedServers(asked));
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
