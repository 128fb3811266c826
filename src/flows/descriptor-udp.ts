/*
 * A connected UDP socket through the C library: one call for a datagram that leaves, one for all that have come, and no object of Node's for
 * either.
 */
import { constants } from "node:os";
import { systemClock } from "../runtime/clock.ts";
import { type ConnectedSocket, connectSocket } from "../runtime/connected-socket.ts";
import { createReceiveBatch, type ReceiveBatch } from "../runtime/datagram-batch.ts";
import type { Libc } from "../runtime/libc.ts";
import type { ServerAddress } from "../runtime/server-address.ts";
import { Readiness } from "../runtime/watch-descriptor.ts";
import { copyOctets } from "../wire/octets.ts";
import type { FlowSocket, SocketEvents } from "./flow-socket.ts";
import { isOfOneDatagram, type LossReason, lossReasonOf } from "./loss-reason.ts";

/**
 * No datagram is longer, so none is cut: some servers send more than they were offered. Pages that were never written to take no memory, so
 * the room costs only what has arrived.
 */
const longestDatagramBytes = 65_535;

const { EAGAIN, EINTR } = constants.errno;

/** What was received is handed out before the next call, so all sockets share this memory. */
let received: ReceiveBatch | undefined;

/** What the kernel had no room for. */
interface Unsent {
  readonly message: Uint8Array;
  readonly onFailed: (reason: LossReason) => void;
}

/** Opens and connects a socket. Never throws. */
export function openDescriptorUdp(server: ServerAddress, events: SocketEvents): FlowSocket {
  let socket: ConnectedSocket | undefined;
  let unsent: readonly Unsent[] = [];
  let isClosed = false;
  try {
    socket = connectSocket("udp", server, onReady);
    queueMicrotask(() => {
      if (!isClosed) events.onOpen();
    });
  } catch (error) {
    queueMicrotask(() => end(lossReasonOf(error as NodeJS.ErrnoException)));
  }

  function onReady(readiness: number): void {
    if (socket === undefined || isClosed) return;
    if ((readiness & Readiness.readable) !== 0) receive(socket);
    if ((readiness & Readiness.writable) !== 0) sendAgain();
  }

  function receive({ fd, calls }: ConnectedSocket): void {
    const batch = (received ??= createReceiveBatch(calls, 0, longestDatagramBytes));
    const count = batch.receive(fd, false);
    if (count < 0) {
      const errno = calls.lastErrno();
      if (errno !== EAGAIN && errno !== EINTR) end(lossReasonOf(calls.lastError("recvmmsg")));
      return;
    }
    for (let slot = 0; slot < count && !isClosed; slot += 1) {
      events.onMessage(copyOctets(batch.octets[slot] as Uint8Array, 0, batch.sizeOf(slot)));
    }
  }

  function sendAgain(): void {
    if (isClosed) return;
    socket?.waitFor(Readiness.readable);
    const again = unsent;
    unsent = [];
    for (const { message, onFailed } of again) send(message, onFailed);
  }

  function send(message: Uint8Array, onFailed: (reason: LossReason) => void): void {
    if (socket === undefined || isClosed) return;
    const { fd, calls } = socket;
    if (calls.write(fd, message, message.length) >= 0) return;
    if (calls.lastErrno() === EAGAIN) {
      unsent = [...unsent, { message, onFailed }];
      socket.waitFor(Readiness.readable | Readiness.writable);
      return;
    }
    failLater(calls, onFailed);
  }

  function failLater(calls: Libc, onFailed: (reason: LossReason) => void): void {
    const reason = lossReasonOf(calls.lastError("write"));
    systemClock.afterIo(() => {
      if (isClosed) return;
      if (isOfOneDatagram(reason)) onFailed(reason);
      else end(reason);
    });
  }

  function end(reason: LossReason): void {
    if (isClosed) return;
    close();
    events.onEnd(reason);
  }

  function close(): void {
    if (isClosed) return;
    isClosed = true;
    unsent = [];
    socket?.close();
  }

  return { send, close };
}
