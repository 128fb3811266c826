/*
 * Clients' TCP connections as streams of octets, of which there are two kinds: Node's own sockets, and descriptors that the C library
 * reads and writes. Their calls take the stream as an argument and their events tell its owner, so that a connection, which may carry
 * one query alone, costs no functions of its own.
 */
import type { Clock } from "../runtime/clock.ts";
import type { ServerAddress } from "../runtime/server-address.ts";
import type { SocketAddress } from "../runtime/socket-address.ts";

/** What can be done with a stream. */
export interface StreamCalls<Stream> {
  isOpen(stream: Stream): boolean;
  /** Sends these octets, which may change after the call, and keeps what the client does not take yet. Nothing happens when it is closed. */
  write(stream: Stream, octets: Uint8Array): void;
  /** From now on keeps what is written, until `uncork`. */
  cork(stream: Stream): void;
  uncork(stream: Stream): void;
  /** Whether so much is kept that no more should be written; `onRoom` tells when that has left. */
  isFull(stream: Stream): boolean;
  unsentSizeBytes(stream: Stream): number;
  /** Reads no more until `resume`. */
  pause(stream: Stream): void;
  resume(stream: Stream): void;
  /** Nothing more is written. Closes when all has left and the client has ended its side. */
  end(stream: Stream): void;
  /** Closes at once. */
  destroy(stream: Stream): void;
}

/** What a stream's owner is told. */
export interface StreamEvents<Stream, Owner> {
  /** A client has connected. Returns the stream's owner, or undefined if the client is turned away. */
  onOpen(stream: Stream, peer: SocketAddress): Owner | undefined;
  /** Octets have come, which are valid only during the call. */
  onData(owner: Owner, octets: Uint8Array): void;
  /** All that was kept when it was full has left. */
  onRoom(owner: Owner): void;
  /** The client has ended its side. */
  onEnd(owner: Owner): void;
  /** It is closed, for whatever reason. Called once, at the latest in the next turns of the event loop. */
  onClose(owner: Owner): void;
  /** A client cannot connect because the process is out of descriptors. Returns whether one was given back. */
  onWant(): boolean;
}

/** A listening socket. */
export interface StreamServer<Stream> {
  readonly port: number;
  /** Whether another process of this user was already bound to the address. */
  readonly isShared: boolean;
  readonly calls: StreamCalls<Stream>;
  /** Leaves new connections to other processes on the address; what the kernel has queued here still arrives. */
  leave(): void;
  /** Accepts no more clients. */
  stop(): void;
  /** The same; resolves when the system has let go of all. Streams are to be destroyed before. */
  close(): Promise<void>;
}

/** Binds the address (the kernel picks a port for 0) and accepts clients, in the next turn of the event loop at the earliest. Rejects with the system's error. */
export type OpenStreamServer<Stream> = <Owner>(
  address: ServerAddress,
  clock: Clock,
  events: StreamEvents<Stream, Owner>,
) => Promise<StreamServer<Stream>>;

/** When so much is unsent, a client's next queries are not read. */
export const highWaterMarkBytes = 16 * 1024;

/** How many connections the kernel queues until they are accepted, if net.core.somaxconn allows that many. */
export const backlog = 1024;
