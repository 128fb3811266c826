/*
 * The few calls of the C library that Node does not offer, for sockets whose descriptor is known. They go through node:ffi, which
 * needs no compiled add-on and works with glibc and musl alike.
 */
import { getSystemErrorName } from "node:util";
import type { dlopen, FunctionDefinitions } from "node:ffi";

const signatures = {
  socket: { return: "i32", arguments: ["i32", "i32", "i32"] },
  setsockopt: { return: "i32", arguments: ["i32", "i32", "i32", "buffer", "u32"] },
  bind: { return: "i32", arguments: ["i32", "buffer", "u32"] },
  connect: { return: "i32", arguments: ["i32", "buffer", "u32"] },
  close: { return: "i32", arguments: ["i32"] },
  __errno_location: { return: "pointer", arguments: [] },
} as const satisfies FunctionDefinitions;

type Functions = ReturnType<typeof dlopen<typeof signatures>>["functions"];

/** The calls (see their manual pages: -1 is a failure), the address of a buffer's memory, and why the last call failed. */
export interface Libc extends Omit<Functions, "__errno_location"> {
  /** The address of the buffer's first octet, valid as long as `memory` is referenced. */
  addressOf(memory: Buffer): bigint;
  /** The error of the last call, with its code. To be called right after it returned -1; `call` is its name, for the message. */
  lastError(call: string): NodeJS.ErrnoException;
}

/** The C library of this process; undefined if Node has no FFI, and on systems other than Linux. */
export const libc: Libc | undefined = await open();

async function open(): Promise<Libc | undefined> {
  // The numbers of socket options and address families below are Linux's.
  if (process.platform !== "linux") return undefined;
  const ffi = await importQuietly();
  if (ffi === undefined) return undefined;
  const { functions } = ffi.dlopen(null, signatures);
  return {
    ...functions,
    addressOf: (memory) => ffi.getRawPointer(memory),
    lastError(call) {
      // That is how the C library names the place of errno.
      // oxlint-disable-next-line no-underscore-dangle
      const errno = ffi.getInt32(functions.__errno_location(), 0);
      const code = getSystemErrorName(-errno);
      return Object.assign(new Error(`${call} ${code}`), { code, errno: -errno, syscall: call });
    },
  };
}

/** Node warns about node:ffi once, on standard error. That concerns whoever chose to use it, not whoever runs nodens. */
async function importQuietly() {
  const { emitWarning } = process;
  process.emitWarning = () => {};
  try {
    return await import("node:ffi");
  } catch {
    return undefined;
  } finally {
    process.emitWarning = emitWarning;
  }
}

/** The kernel's numbers for what Node does not export. */
export const SocketConstant = {
  AF_INET: 2,
  AF_INET6: 10,
  SOCK_STREAM: 1,
  SOCK_DGRAM: 2,
  SOCK_NONBLOCK: 0o4000,
  SOCK_CLOEXEC: 0o2000000,
  SOL_SOCKET: 1,
  SO_REUSEADDR: 2,
  SO_SNDBUF: 7,
  SO_RCVBUF: 8,
  SO_REUSEPORT: 15,
  SO_ATTACH_REUSEPORT_CBPF: 51,
  IPPROTO_IPV6: 41,
  IPV6_V6ONLY: 26,
} as const;
