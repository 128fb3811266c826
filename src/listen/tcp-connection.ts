/*
 * One client's TCP connection (RFC 7766): queries may be pipelined, replies leave in the order in which they are ready. Everything
 * that a client can make nodens hold is bounded: its unanswered queries, its unread replies, its time.
 */
import type { Socket } from "node:net";
import type { Clock } from "../runtime/clock.ts";
import type { SocketAddress } from "../runtime/socket-address.ts";
import { createFrameReader, frameMessage, tooLong } from "../wire/framing.ts";
import { maxQuerySizeBytes, noReply, type QueryAnswerer, replyLater } from "./answer-query.ts";
import { addToOutbox, outboxRoom, takeOutbox } from "./tcp-outbox.ts";

/** Limits of a connection (settings: listen.tcp). */
export interface ConnectionLimits {
  /** The most queries that wait for their answers at a time. */
  readonly maxPipelined: number;
  /** The connection is closed when more than this is unread. */
  readonly maxWriteBufferBytes: number;
}

/** A client's connection as its listener sees it. */
export interface ClientConnection {
  /** The client's address, an IP literal. */
  readonly client: string;
  /** Whether no query is waiting for its answer. */
  isIdle(): boolean;
  /** The octets that are kept for it: replies that it has not read yet, queries that wait for those, the start of a query. */
  heldSizeBytes(): number;
  /** Takes no more queries, and closes the connection when the last reply has left. */
  drain(): void;
  /** Closes the connection at once. */
  destroy(): void;
}

const nothing = new Uint8Array(0);

/** What a listener learns about a connection. */
export interface ConnectionEvents {
  /** A query has come that gets a reply: only that counts as activity, however many octets or empty frames arrive. */
  onQuery(): void;
  /** More is kept for the connection than before. */
  onHold(): void;
  /** The connection has ended. Called once. */
  onClose(): void;
}

/** Who is served, and by whom. */
export interface Service {
  /** The client's address, an IP literal, and the same as the kernel has it. */
  readonly client: string;
  readonly peer: SocketAddress;
  readonly answerer: QueryAnswerer;
  readonly clock: Clock;
}

/**
 * Serves a connection until it closes. From then on the socket belongs to it: nobody else reads, writes or closes it. A later change of
 * `limits` takes effect.
 */
export function serveConnection(
  socket: Socket,
  { client, peer, answerer, clock }: Service,
  limits: ConnectionLimits,
  { onQuery, onHold, onClose }: ConnectionEvents,
): ClientConnection {
  const frames = createFrameReader(maxQuerySizeBytes);
  // What one read has brought after the last query that may be answered now. While there is any, reading stops.
  let rest: Uint8Array = nothing;
  let pending = 0;
  let isEnding = false;
  let readAtMs = 0;

  socket.on("data", (chunk: Buffer) => {
    if (isEnding) return;
    if (rest.length > 0) rest = Buffer.concat([rest, chunk]);
    else read(chunk);
  });
  socket.on("drain", goOn);
  socket.on("end", endWhenAnswered);
  // Reset, broken pipe, timeout: the connection is gone, and "close" follows.
  socket.on("error", () => {});
  socket.on("close", onClose);

  /** Whether the next query may be answered: not while too many are waiting, or while replies are unread. */
  function mayAnswer(): boolean {
    return pending < limits.maxPipelined && !socket.writableNeedDrain && !socket.destroyed;
  }

  function read(chunk: Uint8Array): void {
    readAtMs = clock.nowMs();
    const taken = frames.push(chunk, (frame) => {
      answer(frame);
      return mayAnswer();
    });
    write(takeOutbox());
    answerer.endBatch(clock.nowMs());
    if (taken === tooLong) refuseLength();
    else if (taken < chunk.length && !socket.destroyed) hold(chunk.subarray(taken));
  }

  function hold(octets: Uint8Array): void {
    rest = octets;
    socket.pause();
    onHold();
  }

  /** No query is that long: there is nothing to reply to, and no telling where the next query starts. */
  function refuseLength(): void {
    answerer.counters.drops.malformed += 1;
    socket.destroy();
  }

  function answer(query: Uint8Array): void {
    const size = answerer.answerNow(query, query.length, peer, outboxRoom(), readAtMs);
    if (size !== noReply) onQuery();
    if (size === replyLater) return wait();
    if (size !== noReply && addToOutbox(size)) write(takeOutbox());
  }

  function wait(): void {
    pending += 1;
    if (pending >= limits.maxPipelined) socket.pause();
    answerer.answerLater(peer, (message, sizeBytes) => {
      pending -= 1;
      if (sizeBytes !== noReply) writeLate(frameMessage(message, sizeBytes));
      goOn();
    });
  }

  /** All that is answered in one turn of the loop leaves in one call. */
  function writeLate(frame: Uint8Array): void {
    if (socket.writableCorked === 0) {
      socket.cork();
      clock.afterIo(() => socket.uncork());
    }
    write(frame);
  }

  function write(octets: Uint8Array | undefined): void {
    if (octets === undefined || socket.destroyed || socket.write(octets)) return;
    // The client does not read what it asked for: no more is read from it, and what it may leave unread is bounded.
    socket.pause();
    if (socket.writableLength <= limits.maxWriteBufferBytes) {
      onHold();
      return;
    }
    answerer.counters.overflowedConnections += 1;
    socket.destroy();
  }

  /** A reply has left: goes on with what was held, then with what the socket has. */
  function goOn(): void {
    if (rest.length > 0 && mayAnswer()) {
      const octets = rest;
      rest = nothing;
      read(octets);
    }
    if (isEnding) endWhenAnswered();
    else if (rest.length === 0 && mayAnswer()) socket.resume();
  }

  /** A half-closed connection still gets its replies (RFC 7766 §6.2.4 forbids only new queries). */
  function endWhenAnswered(): void {
    isEnding = true;
    if (pending > 0 || rest.length > 0) return;
    // When both sides have said all, closing is one call, and ending would be two and an event.
    if (socket.readableEnded && socket.writableLength === 0) socket.destroy();
    else socket.end();
  }

  return {
    client,
    isIdle: () => pending === 0,
    heldSizeBytes: () => socket.writableLength + rest.buffer.byteLength + frames.heldSizeBytes(),
    drain: endWhenAnswered,
    destroy: () => void socket.destroy(),
  };
}
