/*
 * One question to one resolver, over a socket of its own: bytes out, bytes in, nothing decoded.
 */
import { createSocket } from "node:dgram";
import { connect, isIPv6 } from "node:net";
import type { Clock } from "../runtime/clock.ts";
import type { ServerAddress } from "../runtime/server-address.ts";
import type { Protocol, Query } from "./dns-message.ts";

/** Where and how to ask. */
export interface Exchange {
  readonly resolver: ServerAddress;
  readonly protocol: Protocol;
  readonly timeoutMs: number;
  readonly clock: Clock;
  /** Gives up at once when it is aborted. */
  readonly signal: AbortSignal;
}

/**
 * Sends `message`, whose question is that of `query` and whose ID is fresh, and waits for the reply that matches it in ID and
 * question; the name is compared in any case (RFC 5452 §9.1). Undefined when none came in time. The reply is the caller's.
 */
export function askResolver(message: Buffer, query: Query, exchange: Exchange): Promise<Buffer | undefined> {
  const { resolver, protocol, timeoutMs, clock, signal } = exchange;
  const { promise, resolve } = Promise.withResolvers<Buffer | undefined>();
  const receive = (reply: Buffer) => {
    if (isReplyTo(message, query, reply)) finish(reply);
  };
  const close =
    protocol === "udp"
      ? askOverUdp(message, resolver, receive, () => finish(undefined))
      : askOverTcp(message, resolver, receive, () => finish(undefined));
  const cancelTimeout = clock.after(timeoutMs, () => finish(undefined));
  const abort = () => finish(undefined);
  signal.addEventListener("abort", abort, { once: true });

  function finish(reply: Buffer | undefined): void {
    cancelTimeout();
    signal.removeEventListener("abort", abort);
    close();
    resolve(reply);
  }
  return promise;
}

type Receive = (reply: Buffer) => void;

/** The socket is connected, so that the kernel drops what comes from elsewhere and reports a closed port. */
function askOverUdp(message: Buffer, resolver: ServerAddress, receive: Receive, fail: () => void): () => void {
  const socket = createSocket(isIPv6(resolver.host) ? "udp6" : "udp4");
  let isOpen = true;
  socket.on("message", receive);
  socket.on("error", fail);
  // Where there is no route, the callback gets an error and no event is emitted.
  socket.connect(resolver.port, resolver.host, (error?: Error) => {
    if (error !== undefined) fail();
    else if (isOpen) socket.send(message);
  });
  return () => {
    if (isOpen) socket.close();
    isOpen = false;
  };
}

function askOverTcp(message: Buffer, resolver: ServerAddress, receive: Receive, fail: () => void): () => void {
  const socket = connect(resolver.port, resolver.host);
  let received = Buffer.alloc(0);
  socket.on("data", (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
    if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) return;
    receive(received.subarray(2, 2 + received.readUInt16BE(0)));
  });
  socket.on("error", fail);
  socket.on("end", fail);
  socket.write(frame(message));
  return () => void socket.destroy();
}

/** A message with its length before it, as a stream carries it (RFC 1035 §4.2.2). */
export function frame(message: Buffer): Buffer {
  const framed = Buffer.allocUnsafe(2 + message.length);
  framed.writeUInt16BE(message.length, 0);
  message.copy(framed, 2);
  return framed;
}

function isReplyTo(message: Buffer, query: Query, reply: Buffer): boolean {
  if (reply.length < query.questionEnd || reply.readUInt16BE(0) !== message.readUInt16BE(0)) return false;
  const isResponse = (reply.readUInt16BE(2) & 0x8000) !== 0 && reply.readUInt16BE(4) === 1;
  const question = (bytes: Buffer) => bytes.toString("latin1", 12, query.questionEnd - 4).toLowerCase();
  const typeAndClass = (bytes: Buffer) => bytes.readUInt32BE(query.questionEnd - 4);
  return isResponse && question(reply) === question(message) && typeAndClass(reply) === typeAndClass(message);
}
