/*
 * The few calls of the C library that Node does not offer: sockets whose descriptor we know. Through node:ffi, which needs no
 * compiled part of our own and works with glibc and musl alike.
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

/** The calls, the address of an array's memory, and the reason why the last call failed. */
export interface Libc extends Omit<Functions, "__errno_location"> {
  /** Valid as long as `memory` is referenced. */
  addressOf(memory: Buffer): bigint;
  /** To be called right after a call that returned -1. `call` is its name, for the message. */
  lastError(call: string): NodeJS.ErrnoException;
}

/** The C library of this process; undefined where Node has no FFI, and on systems that are not Linux. */
export const libc: Libc | undefined = await open();

async function open(): Promise<Libc | undefined> {
  // The numbers of socket options and address families below this interface are Linux's.
  if (process.platform !== "linux") return undefined;
  const ffi = await importQuietly();
  if (ffi === undefined) return undefined;
  const { functions } = ffi.dlopen(null, signatures);
  return {
    ...functions,
    addressOf: (memory) => ffi.getRawPointer(memory),
    lastError(call) {
      // The C library's own name for where errno is.
      // oxlint-disable-next-line no-underscore-dangle
      const errno = ffi.getInt32(functions.__errno_location(), 0);
      const code = getSystemErrorName(-errno);
      return Object.assign(new Error(`${call} ${code}`), { code, errno: -errno, syscall: call });
    },
  };
}

/** Node warns of node:ffi on standard error, once: that is for whoever chose it, not for who runs nodens. */
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

/** As the kernel numbers them, where Node does not tell. */
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
