/*
 * One TCP connection to a server: queries are pipelined, answers come in any order (RFC 7766 §6.2.1.1). The connection is
 * always read, also when nobody waits: a server without a write deadline would block on us.
 */
import { connect } from "node:net";
import type { Clock } from "../runtime/clock.ts";
import type { ServerAddress } from "../runtime/server-address.ts";
import { createFrameReader, frameMessage } from "../wire/framing.ts";
import { headerSizeBytes } from "../wire/header.ts";
import { type Attempt, type Cancel, type Flow, lossReasonOf, type LossReason } from "./flow.ts";
import type { ServerCounters } from "./server-counters.ts";
import { createWaitingAttempts } from "./waiting-attempts.ts";

/** What a connection is told. */
export interface TcpFlowOptions {
  readonly server: ServerAddress;
  readonly clock: Clock;
  readonly counters: ServerCounters;
  readonly connectTimeoutMs: number;
  /** Closed after so long without a waiting attempt: before the server does it, which would race with our next query. */
  readonly idleTimeoutMs: number;
  /** A reply came: there may be room for another query. */
  onAnswer(): void;
  /** The connection is gone; its waiting attempts are reported lost right after. */
  onClose(end: TcpFlowEnd): void;
}

/** How a connection ended. */
export interface TcpFlowEnd {
  readonly reason: LossReason;
  readonly wasConnected: boolean;
  readonly answered: number;
  readonly unanswered: number;
}

/** A TCP flow. Opens at once; queries sent before it is connected leave with the connection. */
export interface TcpFlow extends Flow {
  readonly openedAtMs: number;
  isConnected(): boolean;
  /** How many queries were sent on it so far. */
  sentCount(): number;
  /** Whether the server has been silent since `sinceMs`, though asked. */
  isSilentSince(sinceMs: number): boolean;
}

/** Opens a connection. */
export function openTcpFlow(options: TcpFlowOptions): TcpFlow {
  const { server, clock, counters } = options;
  const openedAtMs = clock.nowMs();
  const waiting = createWaitingAttempts(onIdle);
  const frames = createFrameReader();
  const socket = connect({ host: server.host, port: server.port, noDelay: true, keepAlive: true });
  let state: "connecting" | "open" | "retiring" | "closed" = "connecting";
  let wasConnected = false;
  let sent = 0;
  let answered = 0;
  let lastReceivedAtMs = openedAtMs; // A whole frame, or the handshake.
  let cancelIdleTimer: Cancel = () => {};
  const cancelConnectTimer = clock.after(options.connectTimeoutMs, () => end("timeout"));
  counters.openedFlows.tcp += 1;
  counters.openFlows.tcp += 1;

  socket.on("connect", () => {
    cancelConnectTimer();
    wasConnected = true;
    if (state === "connecting") state = "open";
    lastReceivedAtMs = clock.nowMs();
    onIdle();
  });
  socket.on("data", (chunk: Buffer) => frames.push(chunk, onFrame));
  socket.on("error", (error) => end(lossReasonOf(error)));
  socket.on("end", () => end("closed"));
  socket.on("close", () => end("closed"));

  /**
   * Only whole frames are signs of life: octets that trickle, or that are no DNS at all, complete none. A frame too short for a
   * header is bad framing: what follows it cannot be trusted either.
   */
  function onFrame(frame: Uint8Array): boolean {
    lastReceivedAtMs = clock.nowMs();
    if (frame.length < headerSizeBytes) {
      counters.ignored.malformed += 1;
      end("closed");
      return false;
    }
    const result = waiting.match(new Uint8Array(frame));
    if (result !== "answered") {
      counters.ignored[result] += 1;
      return true;
    }
    answered += 1;
    options.onAnswer();
    return true;
  }

  function onIdle(): void {
    if (waiting.count() > 0 || state === "closed" || state === "connecting") return;
    if (state === "retiring") {
      end("closed");
      return;
    }
    cancelIdleTimer();
    cancelIdleTimer = clock.after(options.idleTimeoutMs, () => end("closed"));
  }

  function end(reason: LossReason): void {
    if (state === "closed") return;
    state = "closed";
    cancelConnectTimer();
    cancelIdleTimer();
    socket.destroy();
    counters.openFlows.tcp -= 1;
    options.onClose({ reason, wasConnected, answered, unanswered: waiting.count() });
    waiting.loseAll(reason);
  }

  return {
    openedAtMs,
    send(attempt: Attempt) {
      cancelIdleTimer();
      sent += 1;
      counters.sends.tcp += 1;
      const { packet, cancel } = waiting.add(attempt, clock.nowMs());
      socket.write(frameMessage(packet, packet.length));
      return cancel;
    },
    load: () => waiting.count(),
    oldestSentAtMs: () => waiting.oldestSentAtMs(),
    isAccepting: () => state === "connecting" || state === "open",
    isConnected: () => state === "open",
    sentCount: () => sent,
    isSilentSince: (sinceMs) => lastReceivedAtMs <= sinceMs,
    retire() {
      if (state === "closed") return;
      state = "retiring";
      onIdle();
    },
    close: end,
  };
}
