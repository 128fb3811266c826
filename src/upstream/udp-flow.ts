/*
 * One connected UDP socket to a server: the kernel delivers only what comes from that server's address and port, and reports a
 * closed port at once. Its own port is random, and it is kept: a port per query is a flow per query.
 */
import { createSocket } from "node:dgram";
import { isIPv6 } from "node:net";
import type { Clock } from "../runtime/clock.ts";
import type { ServerAddress } from "../runtime/server-address.ts";
import { type Attempt, type Cancel, type Flow, lossReasonOf, type LossReason } from "./flow.ts";
import type { ServerCounters } from "./server-counters.ts";
import { createWaitingAttempts, maxWaitingAttempts } from "./waiting-attempts.ts";

/** What a socket is told. */
export interface UdpFlowOptions {
  readonly server: ServerAddress;
  readonly clock: Clock;
  readonly counters: ServerCounters;
  /** After so many packets that answer no open question the socket is given up: its ID or port is being guessed. */
  readonly maxWrongReplies: number;
  /** The socket is gone; its waiting attempts are reported lost right after. */
  onClose(): void;
}

/** A UDP flow. */
export interface UdpFlow extends Flow {
  readonly openedAtMs: number;
  sentCount(): number;
}

/** Opens and connects a socket. Queries sent before that is done leave right after. */
export function openUdpFlow(options: UdpFlowOptions): UdpFlow {
  const { server, clock, counters } = options;
  const openedAtMs = clock.nowMs();
  const waiting = createWaitingAttempts(onIdle);
  const socket = createSocket(isIPv6(server.host) ? "udp6" : "udp4");
  let unsent: Uint8Array[] | undefined = [];
  let state: "open" | "retiring" | "closed" = "open";
  let sent = 0;
  let wrongReplies = 0;
  counters.openedFlows.udp += 1;
  counters.openFlows.udp += 1;

  socket.on("error", (error) => end(lossReasonOf(error)));
  socket.on("message", onMessage);
  socket.on("connect", () => {
    const packets = unsent ?? [];
    unsent = undefined;
    for (const packet of packets) write(packet);
  });
  socket.connect(server.port, server.host);

  function write(packet: Uint8Array): void {
    if (state === "closed") return;
    socket.send(packet, (error) => {
      if (error !== null) end(lossReasonOf(error));
    });
  }

  function onMessage(packet: Uint8Array): void {
    const result = waiting.match(packet);
    if (result === "answered") return;
    counters.ignored[result] += 1;
    if (result === "late") return;
    wrongReplies += 1;
    if (wrongReplies > options.maxWrongReplies) end("forgery");
  }

  function onIdle(): void {
    if (state === "retiring" && waiting.count() === 0) end("closed");
  }

  function end(reason: LossReason): void {
    if (state === "closed") return;
    state = "closed";
    socket.close();
    counters.openFlows.udp -= 1;
    options.onClose();
    waiting.loseAll(reason);
  }

  return {
    openedAtMs,
    send(attempt: Attempt): Cancel {
      sent += 1;
      counters.sends.udp += 1;
      const { packet, cancel } = waiting.add(attempt, clock.nowMs());
      if (unsent === undefined) write(packet);
      else unsent.push(packet);
      return cancel;
    },
    load: () => waiting.count(),
    oldestSentAtMs: () => waiting.oldestSentAtMs(),
    isAccepting: () => state === "open" && waiting.count() < maxWaitingAttempts,
    sentCount: () => sent,
    retire() {
      if (state === "closed") return;
      state = "retiring";
      onIdle();
    },
    close: end,
  };
}
