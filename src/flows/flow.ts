/*
 * A flow is one 5-tuple to one server, hence one conntrack entry on the node, which kube-proxy pins to one pod behind the address.
 * It knows since when it owes an answer: a flow that owes one and is silent is left at once, whatever its transport, because the pod behind
 * it may be gone without notice.
 */
import type { Clock } from "../runtime/clock.ts";
import type { ServerAddress } from "../runtime/server-address.ts";
import { headerSizeBytes } from "../wire/header.ts";
import type { Attempt, Cancel } from "./attempt.ts";
import type { OpenSocket } from "./flow-socket.ts";
import type { LossReason } from "./loss-reason.ts";
import type { RoundTrip } from "./round-trip.ts";
import type { FlowCounters } from "./flow-counters.ts";
import type { Transport } from "../wire/transport.ts";
import { watchSilence } from "./silence-watch.ts";
import { createWaitingAttempts, maxWaitingAttempts, type Waiting } from "./waiting-attempts.ts";

/** Bounds of a flow (settings: upstream.udp and upstream.tcp). */
export interface FlowLimits {
  /** The most unanswered questions at once. */
  readonly maxDepth: number;
  readonly connectTimeoutMs: number;
  /** How long a flow stays open without a waiting attempt: shorter than the server's limit, whose close would race with the next query. */
  readonly idleTimeoutMs: number;
  /** The most packets that answer no open question; one more and the flow is given up, because somebody is guessing its IDs or port. */
  readonly maxWrongReplies: number;
}

/** What a flow is made of, and whom it tells. */
export interface FlowOptions {
  readonly server: ServerAddress;
  readonly transport: Transport;
  /** Whether the server may answer one question after the other: then an answer says little about how long its own question took. */
  readonly isInOrder: boolean;
  readonly openSocket: OpenSocket;
  readonly clock: Clock;
  readonly counters: FlowCounters;
  readonly limits: FlowLimits;
  /** The round trip of the path, which all of the path's flows share. */
  readonly roundTrip: RoundTrip;
  /**
   * Something came that answers a question, open or past. `wasGood`: whether the flow was good before that. `wasStuck`: it had been silent,
   * and the question that all others waited behind was answered at once elsewhere, so that it was not the name that was slow.
   */
  onHeard(wasGood: boolean, wasStuck: boolean): void;
  /** The flow owes answers and has been silent for longer than the path's round trip allows: ask it something easy. */
  onQuiet(): void;
  /** The flow did not answer that either, or has never answered anything: it is to be left. */
  onSilent(): void;
  /** The flow is gone; its waiting attempts are reported lost right after. */
  onEnd(end: FlowEnd): void;
}

/** How a flow ended. */
export interface FlowEnd {
  readonly reason: LossReason;
  /** How many questions were answered on it, and how many were still open. */
  readonly answered: number;
  readonly unanswered: number;
}

/** A flow. It opens at once; queries sent before it is connected leave as soon as it is. */
export interface Flow {
  readonly transport: Transport;
  readonly openedAtMs: number;
  /** Whether clients' questions are safe on it: it has answered, nothing suggests that it no longer does, and it accepts more. */
  isGood(): boolean;
  /** Whether `onSilent` was reported and nothing has come since. */
  isSilent(): boolean;
  /** Whether it may be given more questions: it is neither retiring, nor gone, nor full. */
  isAccepting(): boolean;
  /** When something that answers a question last came; -Infinity if nothing ever has. */
  lastHeardAtMs(): number;
  /** The highest order of a client's question that was answered: open ones with a lower order were overtaken. 0 before the first. */
  lastAnsweredOrder(): number;
  /** When a client's question was last answered; -Infinity if none ever was. */
  lastAnsweredAtMs(): number;
  /** Whether its handshake, if it has one, is done. */
  isConnected(): boolean;
  /** How many attempts wait for an answer. */
  load(): number;
  /** How many attempts were ever sent; the latest has this order. */
  sentCount(): number;
  /** How many questions were ever answered, nodens's own included. */
  answeredCount(): number;
  /** The open question with this order was answered on another flow, as quickly as a question is that is not slow. */
  noteAnsweredElsewhere(order: number): void;
  /** Sends an attempt. */
  send(attempt: Attempt): Cancel;
  /** Accepts no more, and closes once no attempt waits any more. */
  retire(): void;
  /** Closes at once. Waiting attempts are lost with `reason`. */
  close(reason: LossReason): void;
}

/** Opens a flow. Never throws: a flow that cannot be opened ends. */
export function openFlow(options: FlowOptions): Flow {
  const { transport, isInOrder, clock, counters, limits, roundTrip } = options;
  const openedAtMs = clock.nowMs();
  const waiting = createWaitingAttempts(onIdle);
  const silence = watchSilence(clock, roundTrip, { onQuiet: options.onQuiet, onSilent });
  let state: "connecting" | "open" | "retiring" | "closed" = "connecting";
  let sent = 0;
  let answered = 0;
  let wrongReplies = 0;
  let lastHeardAtMs = -Infinity;
  let lastAnsweredOrder = 0;
  let lastAnsweredAtMs = -Infinity;
  /** Whether the first of the open questions was answered at once on another flow. */
  let isFirstElsewhere = false;
  let cancelIdleTimer: Cancel = () => {};
  counters.openedFlows[transport] += 1;
  counters.openFlows[transport] += 1;
  const cancelConnectTimer = clock.after(limits.connectTimeoutMs, () => end("timeout"));
  const socket = options.openSocket(options.server, { onOpen, onMessage, onEnd: end });

  function onOpen(): void {
    cancelConnectTimer();
    if (state === "connecting") state = "open";
    silence.noteOpened();
    onIdle();
  }

  function onMessage(packet: Uint8Array): void {
    // A frame too short for a header means broken framing: what follows on the connection cannot be trusted either.
    if (isInOrder && packet.length < headerSizeBytes) {
      counters.ignored.malformed += 1;
      end("unusable");
      return;
    }
    const result = waiting.match(packet, noteAnswer);
    if (result === "answered") return;
    counters.ignored[result] += 1;
    if (result === "late") noteHeard(waiting.count(), false);
    else noteWrongReply();
  }

  function noteAnswer({ attempt: { isOwn = false }, sentAtMs, order }: Waiting): void {
    answered += 1;
    if (!isOwn) lastAnsweredOrder = Math.max(lastAnsweredOrder, order);
    // If another answer came since this was sent, this one may have waited for it.
    const tookMs = clock.nowMs() - sentAtMs;
    if (!isInOrder || lastHeardAtMs <= sentAtMs) roundTrip.note(tookMs);
    else roundTrip.noteBehind(tookMs, lastHeardAtMs - sentAtMs);
    // The answered attempt still counts, and is about to be removed.
    noteHeard(waiting.count() - 1, isOwn);
  }

  function noteHeard(load: number, isOwn: boolean): void {
    const wasGood = isGood();
    const wasStuck = silence.isSilent() && isFirstElsewhere;
    isFirstElsewhere = false;
    lastHeardAtMs = clock.nowMs();
    if (!isOwn) lastAnsweredAtMs = lastHeardAtMs;
    silence.noteHeard(load > 0, isOwn);
    options.onHeard(wasGood, wasStuck);
  }

  /** Wrong replies are guesses only on a socket that anybody can send to; on a connection they come from the server. */
  function noteWrongReply(): void {
    if (isInOrder) return;
    wrongReplies += 1;
    if (wrongReplies > limits.maxWrongReplies) end("forgery");
  }

  function onSilent(): void {
    options.onSilent();
    for (const { attempt } of waiting.all()) attempt.onSilent();
  }

  const isAccepting = () => (state === "open" || state === "connecting") && waiting.count() < maxWaitingAttempts;
  const isGood = () => lastHeardAtMs > -Infinity && !silence.isSilent() && isAccepting();

  function onIdle(): void {
    if (waiting.count() > 0 || state === "closed" || state === "connecting") return;
    if (state === "retiring") {
      end("closed");
      return;
    }
    cancelIdleTimer();
    if (limits.idleTimeoutMs < Infinity) cancelIdleTimer = clock.after(limits.idleTimeoutMs, () => end("closed"));
  }

  function end(reason: LossReason): void {
    if (state === "closed") return;
    state = "closed";
    cancelConnectTimer();
    cancelIdleTimer();
    silence.close();
    socket.close();
    counters.openFlows[transport] -= 1;
    options.onEnd({ reason, answered, unanswered: waiting.count() });
    waiting.loseAll(reason);
  }

  function send(attempt: Attempt): Cancel {
    cancelIdleTimer();
    if (sent > 0) counters.reusedFlows[transport] += 1;
    sent += 1;
    counters.sends[transport] += 1;
    const own = waiting.add(attempt, clock.nowMs());
    attempt.onSent(flow);
    silence.noteSent();
    socket.send(attempt.packet, (reason) => waiting.lose(own, reason));
    return () => waiting.cancel(own);
  }

  const flow: Flow = {
    transport,
    openedAtMs,
    isGood,
    isSilent: silence.isSilent,
    isAccepting,
    lastHeardAtMs: () => lastHeardAtMs,
    lastAnsweredOrder: () => lastAnsweredOrder,
    lastAnsweredAtMs: () => lastAnsweredAtMs,
    isConnected: () => state !== "connecting",
    load: () => waiting.count(),
    sentCount: () => sent,
    answeredCount: () => answered,
    noteAnsweredElsewhere(order) {
      if (waiting.oldest()?.order === order) isFirstElsewhere = true;
    },
    send,
    retire() {
      if (state === "closed") return;
      // A flow that is still connecting sends what it has, if anything, before it closes.
      if (state === "open" || waiting.count() > 0) state = "retiring";
      else end("closed");
      onIdle();
    },
    close: end,
  };
  return flow;
}
