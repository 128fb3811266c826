/*
 * Copies of the packets that pass this machine, through a packet socket (packet(7)). It takes nothing out of the network and puts nothing
 * in. The packets come without their link header, so that they begin with the IP header on every kind of interface. Their addresses are
 *
 *     struct sockaddr_ll { u16 family; u16 protocol, in network order; i32 interface; u16 hardware; u8 packet type; u8 size; u8 address[8]; }
 */
import { attachBpfProgram, type BpfInstruction } from "./bpf-program.ts";
import { batchSlots, createReceiveBatch, hasBatchLayout } from "./datagram-batch.ts";
import { type Libc, libc, SocketConstant as k } from "./libc.ts";

/** A copy of a packet, valid during the call that it is given to. */
export interface PacketCopy {
  /** From the IP header on. Only the first `sizeBytes` octets belong to the packet. */
  octets: Uint8Array;
  sizeBytes: number;
  /** Whether it was leaving by an interface; otherwise it was coming in. */
  isOutgoing: boolean;
  /** When the kernel saw it, in milliseconds of the wall clock; 0 if it did not say. */
  stampMs: number;
}

/** An open packet socket. */
export interface PacketSocket {
  /** Gives the copies that have come to `take`, in order, and about `mostAtOnce` of them at most. Returns their number. Does not wait. */
  read(take: (copy: PacketCopy) => void): number;
  /** How many copies there was no room for, since the socket was opened. */
  droppedCount(): number;
  close(): void;
}

/** The most that one `read` takes, so that other work gets its turn. */
export const mostAtOnce = 1024;

/** Longer packets are cut: all of a DNS message over UDP fits, and so do the segments that carry one over TCP on most networks. */
export const keptSizeBytes = 9216;

/** What the kernel is asked to hold until it is read. Without NET_ADMIN it grants what net.core.rmem_max allows. */
const receiveBufferSizeBytes = 8 * 1024 * 1024;

const everyProtocol = 0x0003;
const linkAddressSizeBytes = 20;
const packetTypeAt = 10;
const packetTypeOutgoing = 4;

/**
 * Opens a socket for copies that `filter` keeps, from every interface of this network namespace. Throws the system's error with its code:
 * EPERM without NET_RAW. Throws as well where the C library cannot be called, and on machines that lay memory out in another way.
 */
export function openPacketSocket(filter: readonly BpfInstruction[]): PacketSocket {
  if (libc === undefined || !hasBatchLayout) throw new Error("this Node cannot open packet sockets");
  const calls = libc;
  // Without a protocol it gets nothing: what comes before the filter is in place would pass it.
  const fd = calls.socket(k.AF_PACKET, k.SOCK_DGRAM | k.SOCK_NONBLOCK | k.SOCK_CLOEXEC, 0);
  if (fd === -1) throw calls.lastError("socket");
  try {
    if (!attachBpfProgram(fd, k.SO_ATTACH_FILTER, filter)) throw calls.lastError("setsockopt");
    askForRoom(calls, fd);
    setOption(calls, fd, k.SO_TIMESTAMPNS, 1);
    bindToEveryInterface(calls, fd);
  } catch (error) {
    calls.close(fd);
    throw error;
  }
  const batch = createReceiveBatch(calls, linkAddressSizeBytes, keptSizeBytes);
  const copy: PacketCopy = { octets: new Uint8Array(0), sizeBytes: 0, isOutgoing: false, stampMs: 0 };
  let dropped = 0;
  let isClosed = false;

  function give(slot: number, take: (copy: PacketCopy) => void): void {
    copy.octets = batch.octets[slot] as Uint8Array;
    copy.sizeBytes = Math.max(0, batch.sizeOf(slot));
    copy.isOutgoing = batch.addresses[slot]?.[packetTypeAt] === packetTypeOutgoing;
    copy.stampMs = batch.stampMsOf(slot);
    take(copy);
  }

  return {
    read(take) {
      let taken = 0;
      for (let count = batchSlots; count === batchSlots && taken < mostAtOnce && !isClosed; taken += count) {
        count = Math.max(0, batch.receive(fd, true));
        for (let slot = 0; slot < count; slot += 1) give(slot, take);
      }
      return taken;
    },
    droppedCount() {
      if (!isClosed) dropped += takeDrops(calls, fd);
      return dropped;
    },
    close() {
      if (!isClosed) calls.close(fd);
      isClosed = true;
    },
  };
}

function askForRoom(calls: Libc, fd: number): void {
  const size = Buffer.from(new Int32Array([receiveBufferSizeBytes]).buffer);
  if (calls.setsockopt(fd, k.SOL_SOCKET, k.SO_RCVBUFFORCE, size, 4) !== 0)
    setOption(calls, fd, k.SO_RCVBUF, receiveBufferSizeBytes);
}

function setOption(calls: Libc, fd: number, option: number, value: number): void {
  if (calls.setsockopt(fd, k.SOL_SOCKET, option, Buffer.from(new Int32Array([value]).buffer), 4) !== 0)
    throw calls.lastError("setsockopt");
}

function bindToEveryInterface(calls: Libc, fd: number): void {
  const address = Buffer.alloc(linkAddressSizeBytes);
  address.writeUInt16LE(k.AF_PACKET, 0);
  address.writeUInt16BE(everyProtocol, 2);
  if (calls.bind(fd, address, address.length) !== 0) throw calls.lastError("bind");
}

/** struct tpacket_stats { u32 packets; u32 drops; }, which start over with every reading. */
function takeDrops(calls: Libc, fd: number): number {
  const statistics = Buffer.alloc(8);
  const size = Buffer.from(new Int32Array([statistics.length]).buffer);
  return calls.getsockopt(fd, k.SOL_PACKET, k.PACKET_STATISTICS, statistics, size) === 0
    ? statistics.readUInt32LE(4)
    : 0;
}
