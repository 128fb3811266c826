/*
 * One client's TCP connection (RFC 7766): queries come pipelined, replies leave in the order in which they are ready. Everything
 * that a client can make us hold is bounded: its unanswered queries, its unread replies, its time.
 */
import type { Socket } from "node:net";
import { createFrameReader, frameMessage } from "../wire/framing.ts";
import { maxMessageSizeBytes } from "../wire/header.ts";
import { noReply, type QueryAnswerer, replyLater } from "./answer-query.ts";

/** Limits of a connection (settings: listen.tcp). */
export interface ConnectionLimits {
  readonly maxPipelined: number;
  readonly maxWriteBufferBytes: number;
}

/** A connection as its listener sees it. */
export interface ClientConnection {
  /** Whether nothing is being answered. */
  isIdle(): boolean;
  /** Takes no more queries, and ends when the last reply has left. */
  drain(): void;
  destroy(): void;
}

/** One reply at a time is written, and framed into an array of its own. */
const target = new Uint8Array(maxMessageSizeBytes);

/**
 * Serves a connection. `onQuery` is told of every query that deserves a reply: only that counts as activity, however many
 * octets or empty frames come.
 * `onClose` is told once.
 */
export function serveConnection(
  socket: Socket,
  answerer: QueryAnswerer,
  limits: ConnectionLimits,
  onQuery: () => void,
  onClose: () => void,
): ClientConnection {
  const client = socket.remoteAddress ?? "";
  const frames = createFrameReader();
  // Queries behind the last that may be answered at once: at most what one read has brought, for then reading stops.
  let held: Uint8Array[] = [];
  let pending = 0;
  let isEnding = false;

  socket.setNoDelay(true);
  socket.on("data", (chunk: Buffer) => {
    if (!isEnding) frames.push(chunk, onFrame);
  });
  socket.on("drain", readOn);
  socket.on("end", endWhenAnswered);
  // Reset, broken pipe, time-out: the connection is gone, and "close" follows.
  socket.on("error", () => {});
  socket.on("close", onClose);

  function onFrame(frame: Uint8Array): boolean {
    if (pending >= limits.maxPipelined || held.length > 0) held.push(Uint8Array.from(frame));
    else answer(frame);
    return !socket.destroyed;
  }

  function answer(query: Uint8Array): void {
    const size = answerer.answerNow(query, query.length, client, target);
    if (size !== noReply) onQuery();
    if (size !== replyLater) write(target, size);
    else wait();
  }

  function wait(): void {
    pending += 1;
    if (pending >= limits.maxPipelined) socket.pause();
    answerer.answerLater(client, (message, sizeBytes) => {
      pending -= 1;
      write(message, sizeBytes);
      answerHeld();
      readOn();
      if (isEnding) endWhenAnswered();
    });
  }

  function write(message: Uint8Array, sizeBytes: number): void {
    if (sizeBytes === noReply || socket.destroyed) return;
    const hasRoom = socket.write(frameMessage(message, sizeBytes));
    if (hasRoom) return;
    // A client that does not read what it asked for: no more is read from it, and what it may leave unread is bounded.
    socket.pause();
    if (socket.writableLength <= limits.maxWriteBufferBytes) return;
    answerer.counters.overflowedConnections += 1;
    socket.destroy();
  }

  function answerHeld(): void {
    let next = 0;
    for (; next < held.length && pending < limits.maxPipelined && !socket.destroyed; next += 1) {
      answer(held[next] as Uint8Array);
    }
    held = held.slice(next);
  }

  function readOn(): void {
    if (pending < limits.maxPipelined && !socket.writableNeedDrain && !isEnding) socket.resume();
  }

  /** A half-closed connection still gets its replies (RFC 7766 §6.2.4 forbids only new queries). */
  function endWhenAnswered(): void {
    isEnding = true;
    if (pending === 0) socket.end();
  }

  return {
    isIdle: () => pending === 0,
    drain: endWhenAnswered,
    destroy: () => void socket.destroy(),
  };
}
