/*
 * Sockets that are connected to one peer, made and closed through the C library and watched by Node's event loop. Whoever opens one also
 * reads and writes it.
 */
import { isIPv6 } from "node:net";
import { constants } from "node:os";
import { getSystemErrorName } from "node:util";
import { hasBatchLayout } from "./datagram-batch.ts";
import { libc, type Libc, SocketConstant as k } from "./libc.ts";
import type { ServerAddress } from "./server-address.ts";
import { socketAddress } from "./socket-address.ts";
import { canWatchDescriptors, watchDescriptor } from "./watch-descriptor.ts";

/** A socket under watch. */
export interface ConnectedSocket {
  readonly fd: number;
  readonly calls: Libc;
  /** From now on waits for these, a sum of Readiness. */
  waitFor(readiness: number): void;
  /** What went wrong with the connection, if anything did since this was last called: also how its handshake ended. */
  takeError(): NodeJS.ErrnoException | undefined;
  /** Closes it, after which nothing of it may be used. */
  close(): void;
}

/** Whether `connectSocket` works here. */
export function canConnectSockets(): boolean {
  return canWatchDescriptors() && hasBatchLayout;
}

/**
 * Opens a socket and begins to connect it to `peer`, from a port that the kernel picks at random. A UDP socket is connected on return, a TCP
 * socket once it is writable and `takeError` has none. `run` is called with a sum of Readiness in each turn of the event loop in which it is
 * ready, at first only for being readable. Throws the system's error with its code, and where `canConnectSockets` is false.
 */
export function connectSocket(
  protocol: "udp" | "tcp",
  peer: ServerAddress,
  run: (readiness: number) => void,
): ConnectedSocket {
  if (libc === undefined) throw new Error("the C library cannot be called");
  const calls = libc;
  const fd = open(calls, protocol, peer);
  try {
    const watch = watchDescriptor(fd, run);
    return {
      fd,
      calls,
      waitFor: watch.waitFor,
      takeError: () => takeError(calls, fd),
      close() {
        void watch.stop();
        calls.close(fd);
      },
    };
  } catch (error) {
    calls.close(fd);
    throw error;
  }
}

function open(calls: Libc, protocol: "udp" | "tcp", peer: ServerAddress): number {
  const family = isIPv6(peer.host) ? k.AF_INET6 : k.AF_INET;
  const type = protocol === "udp" ? k.SOCK_DGRAM : k.SOCK_STREAM;
  const fd = calls.socket(family, type | k.SOCK_NONBLOCK | k.SOCK_CLOEXEC, 0);
  if (fd === -1) throw calls.lastError("socket");
  if (protocol === "tcp") {
    switchOn(calls, fd, k.IPPROTO_TCP, k.TCP_NODELAY);
    switchOn(calls, fd, k.SOL_SOCKET, k.SO_KEEPALIVE);
  }
  const address = socketAddress(peer);
  if (calls.connect(fd, address, address.length) === 0) return fd;
  // libuv has no name for it.
  if (calls.lastErrno() === constants.errno.EINPROGRESS) return fd;
  const error = calls.lastError("connect");
  calls.close(fd);
  throw error;
}

function switchOn(calls: Libc, fd: number, level: number, option: number): void {
  const yes = Buffer.from(Int32Array.of(1).buffer);
  calls.setsockopt(fd, level, option, yes, yes.length);
}

function takeError(calls: Libc, fd: number): NodeJS.ErrnoException | undefined {
  const [errno, size] = [new Int32Array(1), Uint32Array.of(4)];
  if (calls.getsockopt(fd, k.SOL_SOCKET, k.SO_ERROR, Buffer.from(errno.buffer), Buffer.from(size.buffer)) === -1)
    return calls.lastError("getsockopt");
  const [number = 0] = errno;
  return number === 0 ? undefined : Object.assign(new Error("connect"), { code: getSystemErrorName(-number) });
}
