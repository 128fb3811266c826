/*
 * A flow is one 5-tuple to one server, hence one conntrack entry on the node, pinned by kube-proxy to one pod behind the address.
 * It knows since when it owes an answer: a flow that owes and is silent is left at once, whatever its kind, for what it stands on
 * may have gone without a word.
 */
import type { Clock } from "../runtime/clock.ts";
import type { ServerAddress } from "../runtime/server-address.ts";
import { headerSizeBytes } from "../wire/header.ts";
import type { Attempt, Cancel } from "./attempt.ts";
import type { OpenSocket } from "./flow-socket.ts";
import type { LossReason } from "./loss-reason.ts";
import type { RoundTrip } from "./round-trip.ts";
import type { ServerCounters } from "../upstream/server-counters.ts";
import type { Transport } from "../upstream/transport.ts";
import { watchSilence } from "./silence-watch.ts";
import { createWaitingAttempts, maxWaitingAttempts, type Waiting } from "./waiting-attempts.ts";

/** Bounds of a flow (settings: upstream.udp and upstream.tcp). */
export interface FlowLimits {
  /** Unanswered questions at once. */
  readonly maxDepth: number;
  readonly connectTimeoutMs: number;
  /** Closed after so long without a waiting attempt: before the server does it, which would race with our next query. */
  readonly idleTimeoutMs: number;
  /** After so many packets that answer no open question the flow is given up: its ID or port is being guessed. */
  readonly maxWrongReplies: number;
}

/** What a flow is told. */
export interface FlowOptions {
  readonly server: ServerAddress;
  readonly transport: Transport;
  /** Whether the server may answer one question after the other: an answer then says little of how long its own took. */
  readonly isInOrder: boolean;
  readonly openSocket: OpenSocket;
  readonly clock: Clock;
  readonly counters: ServerCounters;
  readonly limits: FlowLimits;
  /** Of the path, which all its flows share. */
  readonly roundTrip: RoundTrip;
  /** Something came that answers a question, of now or before. `wasGood`: the flow was good before. */
  onHeard(wasGood: boolean): void;
  /** It owes answers, and has been silent for longer than the path's round trip allows: ask it something easy. */
  onQuiet(): void;
  /** It said nothing to that either, or never said anything: it is left. */
  onSilent(): void;
  /** It is gone; its waiting attempts are reported lost right after. */
  onEnd(end: FlowEnd): void;
}

/** How a flow ended. */
export interface FlowEnd {
  readonly reason: LossReason;
  /** How many questions it answered, and how many it left. */
  readonly answered: number;
  readonly unanswered: number;
}

/** A flow. Opens at once; queries sent before it is connected leave with the connection. */
export interface Flow {
  readonly transport: Transport;
  readonly openedAtMs: number;
  /** Whether questions of clients are safe on it: it has answered, and nothing says that it no longer does. */
  isGood(): boolean;
  /** Whether it owes answers and says nothing. */
  isSilent(): boolean;
  /** Whether it may be given more: neither retiring nor gone. */
  isAccepting(): boolean;
  /** When something that answers a question came last; -Infinity before. */
  lastHeardAtMs(): number;
  /** The order of the latest question of a client that was answered: one with a lower order was overtaken. */
  lastAnsweredOrder(): number;
  /** When a question of a client was answered last; -Infinity before. */
  lastAnsweredAtMs(): number;
  /** Whether its handshake, if it has one, is done. */
  isConnected(): boolean;
  load(): number;
  sentCount(): number;
  answeredCount(): number;
  send(attempt: Attempt): Cancel;
  /** Accepts no more and closes when the last waiting attempt has gone. */
  retire(): void;
  /** Closes now. Waiting attempts are lost with `reason`. */
  close(reason: LossReason): void;
}

/** Opens a flow. */
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
    // A frame too short for a header is bad framing: what follows it on the connection cannot be trusted either.
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
    // Behind another question's answer it may have waited for that.
    if (!isInOrder || lastHeardAtMs <= sentAtMs) roundTrip.note(clock.nowMs() - sentAtMs);
    // This one is about to leave.
    noteHeard(waiting.count() - 1, isOwn);
  }

  function noteHeard(load: number, isOwn: boolean): void {
    const wasGood = isGood();
    lastHeardAtMs = clock.nowMs();
    if (!isOwn) lastAnsweredAtMs = lastHeardAtMs;
    silence.noteHeard(load > 0, isOwn);
    options.onHeard(wasGood);
  }

  /** A connection's peer is not a stranger: only on a socket that anybody may send to, wrong replies are guesses. */
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
    const { packet, waiting: own, cancel } = waiting.add(attempt, clock.nowMs());
    attempt.onSent(flow);
    silence.noteSent();
    socket.send(packet, (reason) => waiting.lose(own, reason));
    return cancel;
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
    send,
    retire() {
      if (state === "closed") return;
      // Before it is connected it still sends what it has, if it has anything.
      if (state === "open" || waiting.count() > 0) state = "retiring";
      else end("closed");
      onIdle();
    },
    close: end,
  };
  return flow;
}
