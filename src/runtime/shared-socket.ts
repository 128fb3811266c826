/*
 * Sockets on one address that several processes of the same user share (SO_REUSEPORT): the kernel spreads new datagrams and
 * connections over all of them. A process that ends first leaves the group, so that new ones go to the others, then reads what the
 * kernel has queued for it, and closes last. Closing at once would lose that queue.
 */
import { isIPv6 } from "node:net";
import { constants } from "node:os";
import { attachBpfProgram, bpf } from "./bpf-program.ts";
import { libc, SocketConstant as k } from "./libc.ts";
import type { ServerAddress } from "./server-address.ts";
import { portOf, socketAddress } from "./socket-address.ts";

/** A bound socket. Its descriptor belongs to whoever makes a dgram or net object of it, which then closes it. */
export interface SharedSocket {
  readonly fd: number;
  /** The port that it is bound to. */
  readonly port: number;
  /** Whether another process of this user was already bound to the address. */
  readonly isShared: boolean;
  /** Leaves new datagrams and connections to the other processes on the address, if there are any. What is queued stays readable. */
  leave(): void;
  /** See `receiveDropsOf`. Until the descriptor is closed. */
  receiveDrops(): number | undefined;
}

/**
 * Binds a socket to `address`. With port 0 the kernel picks one, which is shared with nobody: it could be that of a stranger who
 * shares. Undefined if the C library
 * cannot be called; then Node's own sockets have to do, without `leave`. Throws the system's error, with its code, if the address
 * cannot be bound: EADDRINUSE if a program of another user has it, or one that does not share.
 */
export function bindSharedSocket(protocol: "udp" | "tcp", address: ServerAddress): SharedSocket | undefined {
  if (libc === undefined) return undefined;
  const isPicked = address.port === 0;
  const isShared = !isPicked && !isFree(protocol, address);
  const fd = openSocket(protocol, address.host);
  try {
    if (!isPicked) setOption(fd, k.SOL_SOCKET, k.SO_REUSEPORT, 1);
    bind(fd, address);
    const port = isPicked ? boundPort(fd, address) : address.port;
    const leave = protocol === "udp" ? () => connectToNobody(fd, address) : () => steerAway(fd);
    return { fd, port, isShared, leave, receiveDrops: () => receiveDropsOf(fd) };
  } catch (error) {
    libc.close(fd);
    throw error;
  }
}

/** Whether nobody is bound to the address, which a socket that does not share finds out. */
function isFree(protocol: "udp" | "tcp", address: ServerAddress): boolean {
  const fd = openSocket(protocol, address.host);
  try {
    bind(fd, address);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "EADDRINUSE";
  } finally {
    libc?.close(fd);
  }
}

/**
 * Whether this machine has the address: tried by binding a socket to it, which costs microseconds. True as well where that cannot
 * tell: without the C library, or where net.ipv4.ip_nonlocal_bind lets anything be bound.
 */
export function hasLocalAddress(host: string): boolean {
  const fd = libc?.socket(isIPv6(host) ? k.AF_INET6 : k.AF_INET, k.SOCK_DGRAM | k.SOCK_CLOEXEC, 0) ?? -1;
  // Want of descriptors says nothing of the address, as any other error below.
  if (libc === undefined || fd === -1) return true;
  const name = socketAddress({ host, port: 0 });
  const errno = libc.bind(fd, name, name.length) === 0 ? 0 : libc.lastErrno();
  libc.close(fd);
  return errno !== constants.errno.EADDRNOTAVAIL;
}

function openSocket(protocol: "udp" | "tcp", host: string): number {
  const type = protocol === "udp" ? k.SOCK_DGRAM : k.SOCK_STREAM;
  const fd = libc?.socket(isIPv6(host) ? k.AF_INET6 : k.AF_INET, type | k.SOCK_NONBLOCK | k.SOCK_CLOEXEC, 0) ?? -1;
  if (fd === -1) throw failure("socket");
  if (isIPv6(host)) setOption(fd, k.IPPROTO_IPV6, k.IPV6_V6ONLY, 1);
  if (protocol === "udp") {
    lengthenQueue(fd, k.SO_RCVBUFFORCE, k.SO_RCVBUF, receiveQueueSizeBytes);
    lengthenQueue(fd, k.SO_SNDBUFFORCE, k.SO_SNDBUF, sendQueueSizeBytes);
    stampDatagrams(fd);
    return fd;
  }
  // Connections of an earlier process in TIME_WAIT must not keep the address occupied.
  setOption(fd, k.SOL_SOCKET, k.SO_REUSEADDR, 1);
  // Accepted connections inherit both. Otherwise the kernel keeps up to 4 MB for each unread one, and charges it to this container.
  for (const buffer of [k.SO_SNDBUF, k.SO_RCVBUF]) setOption(fd, k.SOL_SOCKET, buffer, connectionBufferSizeBytes);
  return fd;
}

/** The receive queue that the kernel is asked for: a burst of some thousand queries. */
export const receiveQueueSizeBytes = 4 * 1024 * 1024;

/**
 * The send queue that the kernel is asked for. What waits in a pod's own queue (its bandwidth is limited, its node busy) counts here until it
 * has left, so that one pod could fill the usual 208 KiB, and hold up the replies to all.
 */
const sendQueueSizeBytes = 4 * 1024 * 1024;

/** Without NET_ADMIN the kernel grants what net.core.rmem_max or wmem_max allows. The default works too, but holds shorter bursts. */
function lengthenQueue(fd: number, forced: number, modest: number, sizeBytes: number): void {
  const memory = Buffer.from(new Int32Array([sizeBytes]).buffer);
  if (libc?.setsockopt(fd, k.SOL_SOCKET, forced, memory, memory.length) === 0) return;
  libc?.setsockopt(fd, k.SOL_SOCKET, modest, memory, memory.length);
}

/**
 * How many datagrams the kernel threw away, since the socket was opened, because its receive queue was full. Undefined if the kernel does
 * not say (before Linux 4.12).
 */
function receiveDropsOf(fd: number): number | undefined {
  const memory = new Uint32Array(memoryWords);
  const sizeBytes = Buffer.from(new Uint32Array([memory.byteLength]).buffer);
  const code = libc?.getsockopt(fd, k.SOL_SOCKET, k.SO_MEMINFO, Buffer.from(memory.buffer), sizeBytes);
  return code === 0 && sizeBytes.readUInt32LE(0) === memory.byteLength ? memory[droppedWord] : undefined;
}

/** SK_MEMINFO_VARS and SK_MEMINFO_DROPS of linux/sock_diag.h. */
const memoryWords = 9;
const droppedWord = 8;

/** A kernel that has no stamps (a sandbox) still has datagrams. */
function stampDatagrams(fd: number): void {
  const memory = Buffer.from(new Int32Array([1]).buffer);
  libc?.setsockopt(fd, k.SOL_SOCKET, k.SO_TIMESTAMPNS, memory, memory.length);
}

/** For each direction of a connection; the kernel doubles it for its own structures. Enough for a client on this node, a round trip away. */
const connectionBufferSizeBytes = 16 * 1024;

function bind(fd: number, address: ServerAddress): void {
  const name = socketAddress(address);
  if (libc?.bind(fd, name, name.length) !== 0) throw failure("bind");
}

function boundPort(fd: number, address: ServerAddress): number {
  const name = socketAddress(address);
  const sizeBytes = Buffer.from(new Uint32Array([name.length]).buffer);
  if (libc?.getsockname(fd, name, sizeBytes) !== 0) throw failure("getsockname");
  return portOf(name);
}

/**
 * Connects the socket to a peer that is nobody. The kernel no longer counts a connected socket as a member of the group, so new
 * datagrams pass it by. It still reads its queue, and sends to wherever each call says.
 */
function connectToNobody(fd: number, { host }: ServerAddress): void {
  const name = socketAddress({ host, port: discardPort });
  libc?.connect(fd, name, name.length);
}

const discardPort = 9;

/**
 * Lets the second member of the group take every new connection: the one that ends is nearly always the first, because it was there
 * before the other. (A new pod that is rolled back is the second, and gets them until it closes, answering each.)
 * If there is no second member, the kernel makes its own choice, which is this socket. The program stays with the group: whoever joins
 * next gets all new connections at once, for as long as it lives.
 */
function steerAway(fd: number): void {
  attachBpfProgram(fd, k.SO_ATTACH_REUSEPORT_CBPF, [bpf.result(1)]);
}

function setOption(fd: number, level: number, option: number, value: number): void {
  const memory = Buffer.from(new Int32Array([value]).buffer);
  if (libc?.setsockopt(fd, level, option, memory, memory.length) !== 0) throw failure("setsockopt");
}

function failure(call: string): Error {
  return libc?.lastError(call) ?? new Error(call);
}
