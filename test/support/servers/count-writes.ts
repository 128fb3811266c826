/*
 * How often a program's sockets are written to: each is a system call, and a packet or more.
 */
import { Socket } from "node:net";
import { onTestFinished, vi } from "vitest";
import { libc } from "../../../src/runtime/libc.ts";
import { ipv6SocketAddressSizeBytes, portOf } from "../../../src/runtime/socket-address.ts";

/** Counts from now on until the end of the test, and returns a function that says how many. `isCounted` chooses among the process's sockets. */
export function countWrites(isCounted: (socket: Socket) => boolean): () => number {
  const spies = [vi.spyOn(Socket.prototype, "_write"), vi.spyOn(Socket.prototype as Required<Socket>, "_writev")];
  onTestFinished(() => spies.forEach((spy) => spy.mockRestore()));
  return () => spies.flatMap((spy) => spy.mock.contexts).filter((socket) => isCounted(socket as Socket)).length;
}

/**
 * The same for descriptors that the C library writes, which Node knows nothing of: those whose own port is `localPort`, or all if it is
 * left out.
 */
export function countSends(localPort?: number): () => number {
  if (libc === undefined) return () => 0;
  const { write, getsockname } = libc;
  const name = Buffer.alloc(ipv6SocketAddressSizeBytes);
  let count = 0;
  const spy = vi.spyOn(libc, "write").mockImplementation((fd, ...rest) => {
    getsockname(fd, name, Buffer.from(new Uint32Array([name.length]).buffer));
    if (localPort === undefined || portOf(name) === localPort) count += 1;
    return write(fd, ...rest);
  });
  onTestFinished(() => spy.mockRestore());
  return () => count;
}
