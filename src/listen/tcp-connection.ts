/*
 * Clients' TCP connections (RFC 7766): queries may be pipelined, replies leave in the order in which they are ready. Everything that a
 * client can make nodens hold is bounded: its unanswered queries, its unread replies, its time.
 */
import type { Clock } from "../runtime/clock.ts";
import { quickHostKey, type SocketAddress } from "../runtime/socket-address.ts";
import { createFrameReader, frameMessage, type FrameReader, tooLong } from "../wire/framing.ts";
import { maxQuerySizeBytes, noReply, type QueryAnswerer, replyLater } from "./answer-query.ts";
import type { StreamCalls } from "./client-streams.ts";
import { unlisted } from "./activity-list.ts";
import type { TableEntry } from "./connection-table.ts";
import type { ListenCounters } from "./listen-counters.ts";
import { addToOutbox, outboxRoom, takeOutbox } from "./tcp-outbox.ts";

/** Limits of a connection (settings: listen.tcp). */
export interface ConnectionLimits {
  /** The most queries that wait for their answers at a time. */
  readonly maxPipelined: number;
  /** The connection is closed when more than this is unread. */
  readonly maxWriteBufferBytes: number;
}

/** A client's connection. It belongs to this file, which alone changes it, and to which alone its stream belongs. */
export interface Connection<Stream> extends TableEntry<Connection<Stream>> {
  readonly stream: Stream;
  readonly peer: SocketAddress;
  /** What one read has brought after the last query that may be answered now. While there is any, reading stops. */
  rest: Uint8Array;
  /** The start of a query, if a read has ended inside one. */
  frames: FrameReader | undefined;
  /** Queries that wait for their answers. */
  pending: number;
  isEnding: boolean;
  isCorked: boolean;
  /** Counted as a client's. */
  isCounted: boolean;
  /** nodens itself has asked on it. */
  isOwn: boolean;
}

/** What can be done with connections. */
export interface ConnectionCalls<Stream> {
  /** Makes the connection of a stream. `isLocal`: the client may be nodens itself, which only the first query shows. */
  create(stream: Stream, peer: SocketAddress, isLocal: boolean): Connection<Stream>;
  /** Octets have come, which are valid only during the call. */
  receive(connection: Connection<Stream>, octets: Uint8Array): void;
  /** Answers what may be answered now, and reads on. */
  goOn(connection: Connection<Stream>): void;
  /** Takes no more queries, and closes the connection when the last reply has left. */
  drain(connection: Connection<Stream>): void;
  /** The stream is closed. */
  noteClose(connection: Connection<Stream>): void;
  /** Whether no query is waiting for its answer. */
  isIdle(connection: Connection<Stream>): boolean;
  /** The octets that are kept for it: replies that it has not read yet, queries that wait for those, the start of a query. */
  heldSizeBytes(connection: Connection<Stream>): number;
  /** Closes it at once. */
  destroy(connection: Connection<Stream>): void;
}

/** What a listener learns about its connections. */
export interface ConnectionEvents<Stream> {
  /** A query has come that gets a reply: only that counts as activity, however many octets or empty frames arrive. */
  onQuery(connection: Connection<Stream>): void;
  /** More is kept for a connection than before. */
  onHold(): void;
}

/** Who answers, and when. */
export interface Service {
  readonly answerer: QueryAnswerer;
  readonly clock: Clock;
}

const nothing = new Uint8Array(0);

/** The calls for all connections of one listener. A later change of `limits` takes effect. */
export function createConnections<Stream>(
  calls: StreamCalls<Stream>,
  { answerer, clock }: Service,
  limits: ConnectionLimits,
  { onQuery, onHold }: ConnectionEvents<Stream>,
): ConnectionCalls<Stream> {
  const { counters } = answerer;
  const { write, writeLate } = createWriter(calls, { counters, clock }, limits, onHold);
  // Most reads end with a query, so that all connections can share a reader: one that has the start of a query belongs to its connection.
  let spareFrames = createFrameReader(maxQuerySizeBytes);
  // The connection that is being read, which alone may use the outbox.
  let current: Connection<Stream> | undefined;
  let readAtMs = 0;

  function receive(connection: Connection<Stream>, octets: Uint8Array): void {
    if (connection.isEnding) return;
    if (connection.rest.length > 0) {
      connection.rest = joined(connection.rest, octets);
      return;
    }
    read(connection, octets, false);
  }

  /** Whether the next query may be answered: not while too many are waiting, or while replies are unread. */
  function mayAnswer({ stream, pending }: Connection<Stream>): boolean {
    return pending < limits.maxPipelined && !calls.isFull(stream) && calls.isOpen(stream);
  }

  /** `isKept`: these octets stay as they are, so that what may not be answered yet needs no copy. */
  function read(connection: Connection<Stream>, octets: Uint8Array, isKept: boolean): void {
    current = connection;
    readAtMs = clock.nowMs();
    const frames = connection.frames ?? spareFrames;
    const taken = frames.push(octets, takeQuery);
    write(connection, takeOutbox());
    connection.frames = frames.isInsideMessage() ? frames : undefined;
    if (connection.frames === spareFrames) spareFrames = createFrameReader(maxQuerySizeBytes);
    if (taken === tooLong) refuseLength(connection);
    else if (taken < octets.length) hold(connection, octets.subarray(taken), isKept);
    current = undefined;
    // Last, for some of those that begin now are answered at once, and have their connections go on.
    answerer.endBatch(clock.nowMs());
  }

  function hold(connection: Connection<Stream>, octets: Uint8Array, isKept: boolean): void {
    if (!calls.isOpen(connection.stream)) return;
    connection.rest = isKept ? octets : new Uint8Array(octets);
    calls.pause(connection.stream);
    onHold();
  }

  /** No query is that long: there is nothing to reply to, and no telling where the next query starts. */
  function refuseLength(connection: Connection<Stream>): void {
    spareFrames = createFrameReader(maxQuerySizeBytes);
    counters.drops.malformed += 1;
    calls.destroy(connection.stream);
  }

  function takeQuery(query: Uint8Array): boolean {
    const connection = current as Connection<Stream>;
    const size = answerer.answerNow(query, query.length, connection.peer, outboxRoom(), readAtMs);
    if (size !== noReply) noteQuery(connection);
    if (size === replyLater) wait(connection);
    else if (size !== noReply && addToOutbox(size)) write(connection, takeOutbox());
    return mayAnswer(connection);
  }

  function noteQuery(connection: Connection<Stream>): void {
    if (answerer.wasOwn()) connection.isOwn = true;
    else countClient(connection, counters);
    onQuery(connection);
  }

  function wait(connection: Connection<Stream>): void {
    connection.pending += 1;
    if (connection.pending >= limits.maxPipelined) calls.pause(connection.stream);
    answerer.answerLater(connection.peer, (message, sizeBytes) => {
      connection.pending -= 1;
      if (sizeBytes !== noReply) writeLate(connection, frameMessage(message, sizeBytes));
      goOn(connection);
    });
  }

  /** A reply has left: goes on with what was held, then with what the stream has. */
  function goOn(connection: Connection<Stream>): void {
    // A query that is turned away to make room is answered while another connection is being read.
    if (current !== undefined) {
      clock.afterIo(() => goOn(connection));
      return;
    }
    if (connection.rest.length > 0 && mayAnswer(connection)) {
      const octets = connection.rest;
      connection.rest = nothing;
      read(connection, octets, true);
    }
    if (connection.isEnding) endWhenAnswered(connection);
    else if (connection.rest.length === 0 && mayAnswer(connection)) calls.resume(connection.stream);
  }

  /** A half-closed connection still gets its replies (RFC 7766 §6.2.4 forbids only new queries). */
  function endWhenAnswered(connection: Connection<Stream>): void {
    connection.isEnding = true;
    if (connection.pending > 0 || connection.rest.length > 0) return;
    calls.end(connection.stream);
  }

  return { ...keepingCalls(calls, counters), receive, goOn, drain: endWhenAnswered };
}

/** What has to do with neither queries nor replies. */
function keepingCalls<Stream>(
  calls: StreamCalls<Stream>,
  counters: ListenCounters,
): Omit<ConnectionCalls<Stream>, "receive" | "goOn" | "drain"> {
  return {
    create(stream, peer, isLocal) {
      const connection = createConnection(stream, peer);
      if (!isLocal) countClient(connection, counters);
      return connection;
    },
    noteClose(connection) {
      if (!connection.isOwn) countClient(connection, counters);
    },
    isIdle: ({ pending }) => pending === 0,
    heldSizeBytes: ({ stream, rest, frames }) =>
      calls.unsentSizeBytes(stream) + rest.buffer.byteLength + (frames?.heldSizeBytes() ?? 0),
    destroy: ({ stream }) => calls.destroy(stream),
  };
}

/** How replies leave. */
function createWriter<Stream>(
  calls: StreamCalls<Stream>,
  { counters, clock }: { readonly counters: ListenCounters; readonly clock: Clock },
  limits: ConnectionLimits,
  onHold: () => void,
) {
  /** All that is answered in one turn of the loop leaves in one call. */
  function writeLate(connection: Connection<Stream>, frame: Uint8Array): void {
    if (!connection.isCorked) {
      connection.isCorked = true;
      calls.cork(connection.stream);
      clock.afterIo(() => {
        connection.isCorked = false;
        calls.uncork(connection.stream);
      });
    }
    write(connection, frame);
  }

  function write({ stream }: Connection<Stream>, octets: Uint8Array | undefined): void {
    if (octets === undefined) return;
    calls.write(stream, octets);
    if (!calls.isFull(stream) || !calls.isOpen(stream)) return;
    // The client does not read what it asked for: no more is read from it, and what it may leave unread is bounded.
    calls.pause(stream);
    if (calls.unsentSizeBytes(stream) <= limits.maxWriteBufferBytes) {
      onHold();
      return;
    }
    counters.overflowedConnections += 1;
    calls.destroy(stream);
  }

  return { write, writeLate };
}

function countClient(connection: Connection<unknown>, counters: ListenCounters): void {
  if (!connection.isCounted) counters.acceptedConnections += 1;
  connection.isCounted = true;
}

function createConnection<Stream>(stream: Stream, peer: SocketAddress): Connection<Stream> {
  return {
    // First: V8 copies all of it at once where nothing stands before.
    ...unlisted,
    stream,
    peer,
    client: quickHostKey(peer),
    rest: nothing,
    frames: undefined,
    pending: 0,
    isEnding: false,
    isCorked: false,
    isCounted: false,
    isOwn: false,
  };
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  const octets = new Uint8Array(first.length + second.length);
  octets.set(first);
  octets.set(second, first.length);
  return octets;
}
