/*
 * Sends one message to one server over a socket of its own and waits for the reply: octets out, octets in, nothing decoded. For
 * occasional questions; forwarding uses flows.
 */
import { createSocket } from "node:dgram";
import { connect, isIPv6 } from "node:net";
import { getSystemErrorMessage } from "node:util";
import type { Clock } from "./clock.ts";
import type { ServerAddress } from "./server-address.ts";

/** Where and how to ask. */
export interface OneShot {
  readonly server: ServerAddress;
  readonly protocol: "udp" | "tcp";
  readonly timeoutMs: number;
  readonly clock: Clock;
  /** The address of this machine to ask from; by default the kernel chooses. */
  readonly from?: string;
  /** When it is aborted, the exchange fails at once. */
  readonly signal?: AbortSignal;
  /** Whether a message from the server is the reply. Any other is counted, and the wait goes on. */
  isReply(message: Buffer): boolean;
}

/** The reply, which the caller owns, or the reason in words why there is none. */
export type OneShotOutcome =
  | { readonly message: Buffer; readonly elapsedMs: number; readonly ignoredCount: number }
  | { readonly failure: string; readonly ignoredCount: number };

/**
 * Sends `message` and waits for its reply, `timeoutMs` from the call on. `elapsedMs` counts from sending, without the opening of a TCP
 * connection. Never rejects. `message` is not changed.
 */
export function askOnce(message: Uint8Array, oneShot: OneShot): Promise<OneShotOutcome> {
  const { server, protocol, timeoutMs, clock, from, signal, isReply } = oneShot;
  const { promise, resolve } = Promise.withResolvers<OneShotOutcome>();
  let ignoredCount = 0;
  let sentMs = clock.nowMs();
  const fail = (failure: string) => finish({ failure, ignoredCount });
  const close = (protocol === "udp" ? openUdp : openTcp)(message, server, from, {
    sent: () => void (sentMs = clock.nowMs()),
    received(reply) {
      if (isReply(reply)) finish({ message: reply, elapsedMs: clock.nowMs() - sentMs, ignoredCount });
      else ignoredCount += 1;
    },
    failed: fail,
  });
  const cancelTimeout = clock.after(timeoutMs, () => fail(`nothing within ${timeoutMs} ms`));
  const abort = () => fail("no longer wanted");
  signal?.addEventListener("abort", abort, { once: true });

  function finish(outcome: OneShotOutcome): void {
    cancelTimeout();
    signal?.removeEventListener("abort", abort);
    close();
    resolve(outcome);
  }
  return promise;
}

/** A new buffer with the message after its length, as a stream carries it (RFC 1035 §4.2.2). */
export function withLength(message: Uint8Array): Buffer {
  const framed = Buffer.allocUnsafe(2 + message.length);
  framed.writeUInt16BE(message.length, 0);
  framed.set(message, 2);
  return framed;
}

/** What a socket reports. It reports nothing before the function that opened it has returned, or after it was closed. */
interface Events {
  sent(): void;
  /** The message is the receiver's to keep. */
  received(message: Buffer): void;
  failed(reason: string): void;
}

/** Connects the socket, so that the kernel drops what others send and reports a closed port. Returns a function that closes it. */
function openUdp(message: Uint8Array, server: ServerAddress, from: string | undefined, events: Events): () => void {
  const socket = createSocket(isIPv6(server.host) ? "udp6" : "udp4");
  let isOpen = true;
  socket.on("error", (error) => {
    if (isOpen) events.failed(describeError(error));
  });
  socket.on("message", (reply) => {
    if (isOpen) events.received(reply);
  });
  socket.on("connect", () => {
    if (!isOpen) return;
    events.sent();
    socket.send(message);
  });
  if (from === undefined) socket.connect(server.port, server.host);
  else
    socket.bind(0, from, () => {
      if (isOpen) socket.connect(server.port, server.host);
    });
  return () => {
    if (isOpen) socket.close();
    isOpen = false;
  };
}

function openTcp(message: Uint8Array, server: ServerAddress, from: string | undefined, events: Events): () => void {
  const socket = connect({ ...server, ...(from === undefined ? {} : { localAddress: from }) });
  let unread = Buffer.alloc(0);
  let isOpen = true;
  socket.on("error", (error) => {
    if (isOpen) events.failed(describeError(error));
  });
  socket.on("connect", () => {
    events.sent();
    socket.write(withLength(message));
  });
  socket.on("data", (chunk: Buffer) => {
    unread = Buffer.concat([unread, chunk]);
    while (isOpen && unread.length >= 2 && unread.length >= 2 + unread.readUInt16BE(0)) {
      const end = 2 + unread.readUInt16BE(0);
      const reply = Buffer.from(unread.subarray(2, end));
      unread = unread.subarray(end);
      events.received(reply);
    }
  });
  socket.on("end", () => {
    const where = unread.length > 0 ? " inside a message" : "";
    if (isOpen) events.failed(`the server closed the connection${where}`);
  });
  return () => {
    isOpen = false;
    socket.destroy();
  };
}

function describeError(error: NodeJS.ErrnoException): string {
  return error.errno === undefined ? error.message : `${getSystemErrorMessage(error.errno)} (${error.code})`;
}
