/*
 * Clients' TCP connections as descriptors that the C library reads and writes, all of a listener's in one epoll. A connection that carries
 * one query costs what the kernel takes for it and a record; node:net makes a dozen objects, and calls into libuv for each.
 */
import { createEventPoll, PollEvent } from "../runtime/event-poll.ts";
import { isPassing } from "../runtime/passing-error.ts";
import { type Libc, SocketConstant as k } from "../runtime/libc.ts";
import { highWaterMarkBytes, type StreamCalls, type StreamEvents } from "./client-streams.ts";
import { addUnsent, createUnsentOctets, dropAll, dropSent, nextPiece, type UnsentOctets } from "./unsent-octets.ts";

/** A client's connection. Only this file changes it. */
export interface DescriptorStream {
  readonly fd: number;
  /** Tells it from others that had this descriptor. */
  readonly tag: number;
  owner: unknown;
  isOpen: boolean;
  isPaused: boolean;
  /** The client has ended its side. */
  hasEnded: boolean;
  /** Nothing more is written. */
  isEnding: boolean;
  isShut: boolean;
  isCorked: boolean;
  isFull: boolean;
  /** Made at its first use: most replies leave at once. */
  unsent: UnsentOctets | undefined;
  /** What the poll waits for, or `notAdded`. */
  awaited: number;
}

/** The streams of one listener. */
export interface DescriptorStreams {
  readonly calls: StreamCalls<DescriptorStream>;
  /** Makes the stream of a connected descriptor, which belongs to it from then on, and reads what it has, unless `onOpen` turns it away. */
  open(fd: number, peer: Uint8Array): void;
  /** Waits until there is something to accept, or no longer does. */
  listen(isAwaited: boolean): void;
  /** Stops waiting for anything. */
  close(): Promise<void>;
}

/** What they belong to. */
interface Place {
  readonly listening: number;
  /** There is something to accept. */
  readonly accept: () => void;
  readonly events: Events;
}

type Events = StreamEvents<DescriptorStream, unknown>;

const notAdded = -1;

/** A connection is read in such pieces: all that the kernel keeps of it. */
const readSizeBytes = 32 * 1024;

/** What was read is used before the next read, so all connections share its memory. */
const input = Buffer.alloc(readSizeBytes);
const inputOctets = new Uint8Array(input.buffer, input.byteOffset, readSizeBytes);

/** Creates them, none open. Throws the system's error if there is no descriptor for the poll. */
export function createDescriptorStreams(lib: Libc, { listening, accept, events }: Place): DescriptorStreams {
  const byDescriptor: (DescriptorStream | undefined)[] = [];
  const poll = createEventPoll(takeEvent);
  // What to wait for is told to the kernel once, after all that an event has led to.
  let handled: DescriptorStream | undefined;
  const inputAt = lib.addressOf(input);
  const { write, flush } = createWriter(lib, { awaitMore, finish, destroy, onRoom: events.onRoom });
  let lastTag = 0;
  let isListenerAdded = false;

  function takeEvent(fd: number, ready: number, tag: number): void {
    if (fd === listening) {
      accept();
      return;
    }
    const stream = byDescriptor[fd];
    // It may have been closed since the kernel noted the event.
    if (stream === undefined || stream.tag !== tag) return;
    handled = stream;
    if ((ready & PollEvent.writable) !== 0) flush(stream);
    if ((ready & PollEvent.readable) !== 0) read(stream);
    else if ((ready & PollEvent.broken) !== 0) destroy(stream);
    handled = undefined;
    awaitMore(stream);
  }

  function read(stream: DescriptorStream): void {
    if (!stream.isOpen || stream.isPaused || stream.hasEnded) return;
    const sizeBytes = lib.read(stream.fd, inputAt, readSizeBytes);
    if (sizeBytes > 0) {
      events.onData(stream.owner, inputOctets.subarray(0, sizeBytes));
    } else if (sizeBytes === 0) {
      stream.hasEnded = true;
      events.onEnd(stream.owner);
    } else if (!isPassing(lib.lastErrno())) {
      destroy(stream);
    }
  }

  function awaitMore(stream: DescriptorStream): void {
    if (!stream.isOpen || stream === handled) return;
    const awaited = wantedOf(stream);
    if (awaited === stream.awaited) return;
    const isNew = stream.awaited === notAdded;
    stream.awaited = awaited;
    if (!isNew) poll.change(stream.fd, awaited, stream.tag);
    else if (!poll.add(stream.fd, awaited, stream.tag)) destroy(stream);
  }

  /** Nothing more is written, and all has left. */
  function finish(stream: DescriptorStream): void {
    if (stream.hasEnded) destroy(stream);
    else if (!stream.isShut) lib.shutdown(stream.fd, k.SHUT_WR);
    stream.isShut = true;
  }

  function destroy(stream: DescriptorStream): void {
    if (!stream.isOpen) return;
    stream.isOpen = false;
    if (stream.unsent !== undefined) dropAll(stream.unsent);
    byDescriptor[stream.fd] = undefined;
    // That takes it out of the poll as well.
    lib.close(stream.fd);
    events.onClose(stream.owner);
  }

  return {
    calls: callsOf({ awaitMore, write, flush, finish, destroy }),
    open(fd, peer) {
      lastTag = (lastTag + 1) >>> 0;
      const stream = createStream(fd, lastTag);
      stream.owner = events.onOpen(stream, peer);
      if (stream.owner === undefined) {
        lib.close(fd);
        return;
      }
      byDescriptor[fd] = stream;
      handled = stream;
      read(stream);
      handled = undefined;
      awaitMore(stream);
    },
    listen(isAwaited) {
      const awaited = isAwaited ? PollEvent.readable : 0;
      if (isListenerAdded) poll.change(listening, awaited, 0);
      else poll.add(listening, awaited, 0);
      isListenerAdded = true;
    },
    close: poll.close,
  };
}

type Act = (stream: DescriptorStream) => void;

/** Sends at once, and keeps what the kernel does not take. */
function createWriter(
  lib: Libc,
  { awaitMore, finish, destroy, onRoom }: Record<"awaitMore" | "finish" | "destroy", Act> & Pick<Events, "onRoom">,
): { readonly write: StreamCalls<DescriptorStream>["write"]; readonly flush: Act } {
  function write(stream: DescriptorStream, octets: Uint8Array): void {
    if (!stream.isOpen) return;
    const isWaiting = stream.isCorked || unsentSizeOf(stream) > 0;
    const sent = isWaiting ? 0 : send(stream, octets);
    if (!stream.isOpen || sent === octets.length) return;
    stream.unsent ??= createUnsentOctets();
    addUnsent(stream.unsent, octets.subarray(sent));
    stream.isFull = !stream.isCorked || unsentSizeOf(stream) >= highWaterMarkBytes;
    awaitMore(stream);
  }

  /** Returns how much the kernel has taken. Closes the stream if it never will. */
  function send(stream: DescriptorStream, octets: Uint8Array): number {
    // With three arguments: Node's FFI takes half as long for these. Node ignores SIGPIPE.
    const sent = lib.write(stream.fd, octets, octets.length);
    if (sent >= 0) return sent;
    if (!isPassing(lib.lastErrno())) destroy(stream);
    return 0;
  }

  function flush(stream: DescriptorStream): void {
    const { unsent, isFull: wasFull } = stream;
    while (unsent !== undefined && unsent.sizeBytes > 0) {
      const piece = nextPiece(unsent);
      const sent = send(stream, piece);
      if (!stream.isOpen) return;
      dropSent(unsent, sent);
      if (sent < piece.length) break;
    }
    stream.isFull = unsentSizeOf(stream) > 0;
    if (!stream.isFull && stream.isEnding) finish(stream);
    else if (!stream.isFull && wasFull) onRoom(stream.owner);
    awaitMore(stream);
  }

  return { write, flush };
}

type Actions = Record<"awaitMore" | "flush" | "finish" | "destroy", Act> & Pick<StreamCalls<DescriptorStream>, "write">;

function callsOf({ awaitMore, write, flush, finish, destroy }: Actions): StreamCalls<DescriptorStream> {
  return {
    isOpen: (stream) => stream.isOpen,
    write,
    cork(stream) {
      stream.isCorked = true;
    },
    uncork(stream) {
      stream.isCorked = false;
      if (stream.isOpen) flush(stream);
    },
    isFull: (stream) => stream.isFull,
    unsentSizeBytes: unsentSizeOf,
    pause(stream) {
      stream.isPaused = true;
      awaitMore(stream);
    },
    resume(stream) {
      stream.isPaused = false;
      awaitMore(stream);
    },
    end(stream) {
      stream.isEnding = true;
      if (stream.isOpen && unsentSizeOf(stream) === 0) finish(stream);
    },
    destroy,
  };
}

function unsentSizeOf({ unsent }: DescriptorStream): number {
  return unsent === undefined ? 0 : unsent.sizeBytes;
}

/** What to wait for: a sum of PollEvent. */
function wantedOf(stream: DescriptorStream): number {
  const readable = stream.isPaused || stream.hasEnded ? 0 : PollEvent.readable;
  const writable = unsentSizeOf(stream) > 0 && !stream.isCorked ? PollEvent.writable : 0;
  return readable | writable;
}

function createStream(fd: number, tag: number): DescriptorStream {
  return {
    fd,
    tag,
    owner: undefined,
    isOpen: true,
    isPaused: false,
    hasEnded: false,
    isEnding: false,
    isShut: false,
    isCorked: false,
    isFull: false,
    unsent: undefined,
    awaited: notAdded,
  };
}
