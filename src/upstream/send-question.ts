/*
 * Sends a question once more over one path, or on one flow, and passes on what is heard of that packet.
 */
import type { Flow } from "../flows/flow.ts";
import type { Heard } from "../flows/heard-reply.ts";
import type { LossReason } from "../flows/loss-reason.ts";
import { composeQuery } from "../wire/question.ts";
import type { Target } from "./choose-path.ts";
import { type Exchange, nothingToCancel, type Sending } from "./exchange-state.ts";
import { composePlainQuery } from "./plain-query.ts";
import type { Server } from "./server.ts";

/** Sends it. Whoever calls this has made sure that one more send may leave. Any waiting for a flow (send-again) is over. */
export function send(asked: Exchange, target: Target, how: { isPlain?: boolean; isEarly?: boolean } = {}): void {
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

/** The last send to a server from which nothing with OPT ever came back is plain: something on the way may swallow OPT. */
function isPlainBetter({ sends, limits }: Exchange, { edns }: Server): boolean {
  return !edns.mayUse() || (!edns.hasWorked() && sends > 0 && sends === limits.maxSends - 1);
}

// What a flow reports about a sending: functions that all of them share, and not four new ones for each.

function sentEvent(this: Sending, flow: Flow): void {
  this.asked.events.sent(this.asked, this, flow);
}

function silentEvent(this: Sending): void {
  this.asked.events.silent(this.asked, this);
}

function replyEvent(this: Sending, heard: Heard): void {
  this.asked.events.replied(this.asked, this, heard);
}

function lostEvent(this: Sending, reason: LossReason): void {
  this.asked.events.lost(this.asked, this, reason);
}
