/*
 * The few calls of the C library, and of Node's own libuv, that Node does not offer, for sockets whose descriptor is known. They go
 * through node:ffi, which needs no compiled add-on and works with glibc and musl alike.
 */
import { getSystemErrorName } from "node:util";
import { startupSnapshot } from "node:v8";
import type { dlopen, FunctionDefinitions } from "node:ffi";

const signatures = {
  socket: { return: "i32", arguments: ["i32", "i32", "i32"] },
  setsockopt: { return: "i32", arguments: ["i32", "i32", "i32", "buffer", "u32"] },
  getsockopt: { return: "i32", arguments: ["i32", "i32", "i32", "buffer", "buffer"] },
  bind: { return: "i32", arguments: ["i32", "buffer", "u32"] },
  connect: { return: "i32", arguments: ["i32", "buffer", "u32"] },
  getsockname: { return: "i32", arguments: ["i32", "buffer", "buffer"] },
  // For one datagram, with three arguments: Node's FFI takes half as long for these.
  sendmsg: { return: "i32", arguments: ["i32", "pointer", "i32"] },
  recvmmsg: { return: "i32", arguments: ["i32", "pointer", "u32", "i32", "pointer"] },
  sendmmsg: { return: "i32", arguments: ["i32", "pointer", "u32", "i32"] },
  listen: { return: "i32", arguments: ["i32", "i32"] },
  accept4: { return: "i32", arguments: ["i32", "pointer", "pointer", "i32"] },
  // Sizes are 64 bits wide. All calling conventions hand over a smaller number in the same register, and ours fit into 31 bits.
  read: { return: "i32", arguments: ["i32", "pointer", "u32"] },
  write: { return: "i32", arguments: ["i32", "buffer", "u32"] },
  send: { return: "i32", arguments: ["i32", "buffer", "u32", "i32"] },
  recv: { return: "i32", arguments: ["i32", "buffer", "u32", "i32"] },
  shutdown: { return: "i32", arguments: ["i32", "i32"] },
  epoll_create1: { return: "i32", arguments: ["i32"] },
  epoll_ctl: { return: "i32", arguments: ["i32", "i32", "i32", "pointer"] },
  epoll_wait: { return: "i32", arguments: ["i32", "pointer", "i32", "i32"] },
  close: { return: "i32", arguments: ["i32"] },
  madvise: { return: "i32", arguments: ["pointer", "u64", "i32"] },
  __errno_location: { return: "pointer", arguments: [] },
} as const satisfies FunctionDefinitions;

const loopSignatures = {
  uv_handle_size: { return: "u64", arguments: ["i32"] },
  uv_poll_init: { return: "i32", arguments: ["pointer", "pointer", "i32"] },
  uv_poll_start: { return: "i32", arguments: ["pointer", "i32", "pointer"] },
  uv_close: { return: "void", arguments: ["pointer", "pointer"] },
} as const satisfies FunctionDefinitions;

type Functions = ReturnType<typeof dlopen<typeof signatures>>["functions"];
type LoopFunctions = ReturnType<typeof dlopen<typeof loopSignatures>>["functions"];

/** The calls (see their manual pages: -1 is a failure), the address of a buffer's memory, and why the last call failed. */
export interface Libc extends Omit<Functions, "__errno_location"> {
  /**
   * The address of the buffer's first octet, valid as long as `memory` is referenced: by something that lives, for the engine drops a
   * variable after its last use. The buffer must have more than 64 octets, for the engine moves smaller ones.
   */
  addressOf(memory: Buffer): bigint;
  /** The process's own memory at an address, not copied. What is not mapped must not be read. */
  memoryAt(address: bigint, sizeBytes: bigint): Buffer;
  /** The number of the last call's error. To be called right after it returned -1. */
  lastErrno(): number;
  /** The error of the last call, with its code. To be called right after it returned -1; `call` is its name, for the message. */
  lastError(call: string): NodeJS.ErrnoException;
}

/** Calls of libuv, see its manual: what is negative is a failure. */
export interface EventLoop extends LoopFunctions {
  /** The address of this thread's uv_loop_t. */
  readonly address: bigint;
  /**
   * A function that libuv may call when a handle of uv_poll is ready, until it is released. It must not throw. It is not told the handle:
   * an address is a new object of the engine's in every call.
   */
  readyCallback(run: (status: number, events: number) => void): bigint;
  /** A function that libuv may call when it has let go of a handle, as long as the process lives. It must not throw. */
  closedCallback(run: (handle: bigint) => void): bigint;
  /** Ends what `readyCallback` returned. Not while it runs, and libuv must not call it any more. */
  releaseCallback(callback: bigint): void;
}

/** The C library of this process; undefined if Node has no FFI or may not use it, and on systems other than Linux. */
export let libc: Libc | undefined;

/** Node's event loop; undefined where `libc` is, and if this Node hides its libuv. */
export let eventLoop: EventLoop | undefined;

// Addresses are this process's own: one that begins with a snapshot of loaded modules looks them up then.
if (startupSnapshot.isBuildingSnapshot()) startupSnapshot.addDeserializeCallback(lookUp);
else lookUp();

function lookUp(): void {
  const opened = open();
  libc = opened?.libc;
  eventLoop = opened?.eventLoop;
}

function open(): { libc: Libc; eventLoop: EventLoop | undefined } | undefined {
  // The numbers of socket options and address families below are Linux's.
  if (process.platform !== "linux") return undefined;
  const ffi = loadQuietly();
  if (ffi === undefined) return undefined;
  const library = loadOwn(ffi);
  if (library === undefined) return undefined;
  const { functions, lib } = library;
  // That is how the C library names the place of errno.
  // oxlint-disable-next-line no-underscore-dangle
  const lastErrno = () => ffi.getInt32(functions.__errno_location(), 0);
  const calls: Libc = {
    ...functions,
    addressOf: (memory) => ffi.getRawPointer(memory),
    memoryAt: (address, sizeBytes) => ffi.toBuffer(address, Number(sizeBytes), false),
    lastErrno,
    lastError(call) {
      const errno = lastErrno();
      const code = getSystemErrorName(-errno);
      return Object.assign(new Error(`${call} ${code}`), { code, errno: -errno, syscall: call });
    },
  };
  try {
    const loop: EventLoop = {
      ...lib.getFunctions(loopSignatures),
      address: ffi.getCurrentEventLoop(),
      // Half of the handle's address, which is not used.
      readyCallback: (run) =>
        lib.registerCallback({ return: "void", arguments: ["i32", "i32", "i32"] }, (_half, status, events) =>
          run(status, events),
        ),
      closedCallback: (run) =>
        lib.registerCallback({ return: "void", arguments: ["pointer"] }, (handle) => run(handle as bigint)),
      releaseCallback: (callback) => lib.unregisterCallback(callback),
    };
    return { libc: calls, eventLoop: loop };
  } catch {
    return { libc: calls, eventLoop: undefined };
  }
}

/** Memory of at least so many words for the kernel, and its address, which is valid as long as the words are referenced (see `addressOf`). */
export function allocateWords(calls: Libc, words: number): readonly [words: Uint32Array, at: bigint] {
  const memory = Buffer.alloc(Math.max(words * 4, fixedSizeBytes));
  return [new Uint32Array(memory.buffer, memory.byteOffset, memory.length / 4), calls.addressOf(memory)];
}

/** The engine does not move buffers of this size. */
const fixedSizeBytes = 128;

/** What this process has loaded; undefined if Node may not look into it (its permission model) or a call is missing. */
function loadOwn(ffi: typeof import("node:ffi")) {
  try {
    return ffi.dlopen(null, signatures);
  } catch {
    return undefined;
  }
}

/** Node warns about node:ffi once, on standard error. That concerns whoever chose to use it, not whoever runs nodens. */
function loadQuietly() {
  const { emitWarning } = process;
  process.emitWarning = () => {};
  try {
    return process.getBuiltinModule("node:ffi");
  } finally {
    process.emitWarning = emitWarning;
  }
}

/** The kernel's numbers for what Node does not export. */
export const SocketConstant = {
  AF_INET: 2,
  AF_INET6: 10,
  AF_NETLINK: 16,
  AF_PACKET: 17,
  SOCK_STREAM: 1,
  SOCK_DGRAM: 2,
  SOCK_NONBLOCK: 0o4000,
  SOCK_CLOEXEC: 0o2000000,
  SOL_SOCKET: 1,
  SO_REUSEADDR: 2,
  SO_ERROR: 4,
  SO_SNDBUF: 7,
  SO_RCVBUF: 8,
  SO_KEEPALIVE: 9,
  SO_REUSEPORT: 15,
  SO_ATTACH_FILTER: 26,
  SO_SNDBUFFORCE: 32,
  SO_RCVBUFFORCE: 33,
  SO_TIMESTAMPNS: 35,
  SO_ATTACH_REUSEPORT_CBPF: 51,
  SO_MEMINFO: 55,
  SOL_PACKET: 263,
  PACKET_STATISTICS: 6,
  IPPROTO_TCP: 6,
  TCP_NODELAY: 1,
  TCP_DEFER_ACCEPT: 9,
  IPPROTO_IPV6: 41,
  IPV6_V6ONLY: 26,
  SHUT_WR: 1,
} as const;
