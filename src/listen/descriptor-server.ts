/*
 * A listening socket that the C library accepts from, many connections in a turn of the event loop.
 */
import { isIPv6 } from "node:net";
import { constants } from "node:os";
import type { Clock } from "../runtime/clock.ts";
import { allocateWords, libc, type Libc, SocketConstant as k } from "../runtime/libc.ts";
import { bindSharedSocket } from "../runtime/shared-socket.ts";
import { ipv4SocketAddressSizeBytes, ipv6SocketAddressSizeBytes } from "../runtime/socket-address.ts";
import { backlog, type OpenStreamServer, type StreamEvents, type StreamServer } from "./client-streams.ts";
import { createDescriptorStreams, type DescriptorStream } from "./descriptor-streams.ts";

/** So many are accepted, then those that are open have their turn. */
const acceptsPerWake = 64;

/**
 * The kernel tells of a client once it has sent something, or nothing for so long: a connection and its first query are one wake, and a
 * client that says nothing is held as a half-open one at first, by the kernel alone. It is the least that the kernel knows.
 */
const longestSilenceSeconds = 1;

/** When there is no descriptor to give back, waiting is all that helps. */
const wantPauseMs = 100;

const { EAGAIN, EMFILE, ENFILE, ENOBUFS, ENOMEM } = constants.errno;
const wants: ReadonlySet<number> = new Set([EMFILE, ENFILE, ENOBUFS, ENOMEM]);

/** What accepting needs. */
interface Place {
  readonly lib: Libc;
  readonly clock: Clock;
  readonly listening: number;
  readonly peerSizeBytes: number;
}

/**
 * Binds `address` (the kernel picks a port for 0) and accepts clients as descriptors. Rejects with the system's error, and where
 * `canListenInBatches` is false.
 */
export const openDescriptorServer: OpenStreamServer<DescriptorStream> = async (address, clock, events) => {
  const shared = bindSharedSocket("tcp", address);
  if (libc === undefined || shared === undefined) throw new Error("the C library cannot be called");
  const { fd: listening, port, isShared, leave } = shared;
  try {
    listen(libc, listening);
    const peerSizeBytes = isIPv6(address.host) ? ipv6SocketAddressSizeBytes : ipv4SocketAddressSizeBytes;
    const server = createServer({ lib: libc, clock, listening, peerSizeBytes }, events);
    return { port, isShared, leave, ...server };
  } catch (error) {
    libc.close(listening);
    throw error;
  }
};

function listen(lib: Libc, fd: number): void {
  // Accepted connections inherit it.
  const yes = Buffer.from(new Int32Array([1]).buffer);
  lib.setsockopt(fd, k.IPPROTO_TCP, k.TCP_NODELAY, yes, yes.length);
  // Where the kernel cannot do that (a sandbox), it tells of clients before they have asked.
  const silence = Buffer.from(new Int32Array([longestSilenceSeconds]).buffer);
  lib.setsockopt(fd, k.IPPROTO_TCP, k.TCP_DEFER_ACCEPT, silence, silence.length);
  if (lib.listen(fd, backlog) !== 0) throw lib.lastError("listen");
}

function createServer(
  { lib, clock, listening, peerSizeBytes }: Place,
  events: StreamEvents<DescriptorStream, unknown>,
): Pick<StreamServer<DescriptorStream>, "calls" | "stop" | "close"> {
  const streams = createDescriptorStreams(lib, { listening, accept: () => acceptSome(acceptsPerWake), events });
  const [peer, peerAt] = allocateWords(lib, peerSizeBytes / 4);
  const peerOctets = new Uint8Array(peer.buffer, peer.byteOffset, peerSizeBytes);
  const [peerSize, peerSizeAt] = allocateWords(lib, 1);
  let isListening = true;
  let cancelPause = () => {};
  streams.listen(true);

  /** Accepts clients and answers what they ask, at most so many. */
  function acceptSome(most: number): void {
    for (let count = 0; count < most; count += 1) {
      peerSize[0] = peerSizeBytes;
      const fd = lib.accept4(listening, peerAt, peerSizeAt, k.SOCK_NONBLOCK | k.SOCK_CLOEXEC);
      if (fd !== -1) streams.open(fd, new Uint8Array(peerOctets));
      else if (!mayGoOn(lib.lastErrno())) return;
    }
  }

  /** An error may be that of one client, who is gone already (accept(2)). */
  function mayGoOn(errno: number): boolean {
    if (errno === EAGAIN) return false;
    if (!wants.has(errno)) return true;
    if (!events.onWant()) pauseListening();
    return false;
  }

  function pauseListening(): void {
    streams.listen(false);
    cancelPause();
    cancelPause = clock.after(wantPauseMs, () => streams.listen(true));
  }

  /** Closes the socket, and with it what the kernel has queued there. */
  function stopListening(): void {
    if (!isListening) return;
    isListening = false;
    cancelPause();
    lib.close(listening);
  }

  return {
    calls: streams.calls,
    stop() {
      // What the kernel has queued is still answered.
      if (isListening) acceptSome(backlog);
      stopListening();
    },
    async close() {
      stopListening();
      await streams.close();
    },
  };
}
