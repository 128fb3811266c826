/*
 * Many datagrams in one system call: the memory of recvmmsg and sendmmsg on 64-bit, little-endian Linux, where the kernel, glibc and
 * musl agree on it. Each of the slots has
 *
 *     struct mmsghdr {                                      struct iovec {
 *       0  void *name;       8  u32 name size;                0  void *octets;
 *      16  struct iovec *;  24  u64 number of them;           8  u64 size;
 *      32  void *control;   40  u64 control size;           }
 *      48  i32 flags;       56  u32 size of the message;
 *     }
 */
import { endianness } from "node:os";
import { type Libc, SocketConstant } from "./libc.ts";
import { ipv6SocketAddressSizeBytes, type SocketAddress } from "./socket-address.ts";

/** Whether this machine lays the memory out as above. */
export const hasBatchLayout = endianness() === "LE" && ["x64", "arm64"].includes(process.arch);

/** The most datagrams of one call. */
export const batchSlots = 64;

/** One more line of the processor's cache than a power of two: otherwise the starts of all slots would compete for the same few lines. */
const cacheLineBytes = 64;

const headerWords = 16;
const headerBytes = headerWords * 4;
const word = { nameSize: 2, controlSize: 10, flags: 12, messageSize: 14 } as const;
const partWords = 4;
const partSizeWord = 2;
const messageTruncated = 0x20;

/*
 *     struct cmsghdr { 0  u64 size;  8  i32 level;  12  i32 type; }    struct timespec { 16  u64 seconds;  24  u64 nanoseconds; }
 */
const controlBytes = 64;
const controlWords = controlBytes / 4;
const controlWord = { type: 3, seconds: 4, nanoseconds: 6 } as const;

/** The slots of one direction. Whoever has `octets[i]` and `addresses[i]` writes and reads the memory that the kernel does. */
export interface DatagramSlots {
  readonly octets: readonly Uint8Array[];
  readonly addresses: readonly SocketAddress[];
  /** All memory whose address the kernel is given: it must live as long as the batch, which no variable guarantees. */
  readonly memory: readonly Buffer[];
}

/** Memory for receiving, for sockets of one family. What it holds is valid until the next call of `receive`. */
export interface ReceiveBatch extends DatagramSlots {
  /**
   * Takes what the socket has, as far as there are slots, without waiting. Returns the number, or -1 (see Libc.lastErrno). Stamps cost
   * the kernel a copy for each datagram, so they are taken only on demand.
   */
  receive(fd: number, withStamps: boolean): number;
  /** When the datagram in a slot reached this machine, in milliseconds of the wall clock; 0 if it was received without a stamp. */
  stampMsOf(slot: number): number;
  /** The size of the datagram in a slot, or -1 if there was no room for all of it. */
  sizeOf(slot: number): number;
}

/** Memory for sending. */
export interface SendBatch extends DatagramSlots {
  /** Sets the size of the datagram in a slot. */
  setSize(slot: number, sizeBytes: number): void;
  /** Sends the slots from `from` up to, not including, `to`. Returns how many the kernel has taken, or -1 (see Libc.lastErrno). */
  send(fd: number, from: number, to: number): number;
}

interface Memory extends DatagramSlots {
  readonly headers: Uint32Array;
  readonly parts: Uint32Array;
  readonly headerAddresses: readonly bigint[];
}

/** Creates memory for receiving datagrams of at most `roomBytes` octets, from addresses of this size. */
export function createReceiveBatch(libc: Libc, addressSizeBytes: number, roomBytes: number): ReceiveBatch {
  const { headers, parts, octets, addresses, headerAddresses, memory } = createMemory(
    libc,
    addressSizeBytes,
    roomBytes,
  );
  for (let slot = 0; slot < batchSlots; slot += 1) parts[slot * partWords + partSizeWord] = roomBytes;
  const start = headerAddresses[0] as bigint;
  const control = Buffer.alloc(batchSlots * controlBytes);
  const stamps = wordsOf(control);
  const controlAt = libc.addressOf(control);
  const headerFields = new BigUint64Array(headers.buffer, headers.byteOffset, headers.length / 2);
  for (let slot = 0; slot < batchSlots; slot += 1)
    headerFields[(slot * headerWords) / 2 + 4] = controlAt + BigInt(slot * controlBytes);
  let hasControl = false;

  /** The kernel writes how much of the room it has used, so the room is given anew for every call that wants stamps. */
  function giveControl(sizeBytes: number): void {
    hasControl = sizeBytes > 0;
    for (let slot = 0; slot < batchSlots; slot += 1) headers[slot * headerWords + word.controlSize] = sizeBytes;
  }

  return {
    octets,
    addresses,
    memory: [...memory, control],
    receive(fd, withStamps) {
      if (withStamps || hasControl) giveControl(withStamps ? controlBytes : 0);
      return libc.recvmmsg(fd, start, batchSlots, 0, 0n);
    },
    stampMsOf(slot) {
      const at = slot * controlWords;
      const isThere = (headers[slot * headerWords + word.controlSize] as number) > 0;
      if (!isThere || stamps[at + controlWord.type] !== SocketConstant.SO_TIMESTAMPNS) return 0;
      // The upper half of the seconds is 0 until 2106.
      const seconds = stamps[at + controlWord.seconds] as number;
      return seconds * 1000 + (stamps[at + controlWord.nanoseconds] as number) / 1e6;
    },
    sizeOf(slot) {
      const sizeBytes = headers[slot * headerWords + word.messageSize] as number;
      const flags = headers[slot * headerWords + word.flags] as number;
      return (flags & messageTruncated) === 0 ? sizeBytes : -1;
    },
  };
}

/** Creates memory for sending datagrams of at most `roomBytes` octets, to addresses of this size. */
export function createSendBatch(libc: Libc, addressSizeBytes: number, roomBytes: number): SendBatch {
  const { parts, octets, addresses, headerAddresses, memory } = createMemory(libc, addressSizeBytes, roomBytes);
  return {
    octets,
    addresses,
    memory,
    setSize(slot, sizeBytes) {
      parts[slot * partWords + partSizeWord] = sizeBytes;
    },
    send(fd, from, to) {
      const at = headerAddresses[from] as bigint;
      if (to - from > 1) return libc.sendmmsg(fd, at, to - from, 0);
      return libc.sendmsg(fd, at, 0) < 0 ? -1 : 1;
    },
  };
}

function createMemory(libc: Libc, addressSizeBytes: number, roomBytes: number): Memory {
  const stride = roomBytes + cacheLineBytes;
  const data = Buffer.alloc(batchSlots * stride);
  const names = Buffer.alloc(batchSlots * ipv6SocketAddressSizeBytes);
  const parts = Buffer.alloc(batchSlots * partWords * 4);
  const headers = Buffer.alloc(batchSlots * headerBytes);
  const [dataAt, namesAt, partsAt, headersAt] = [data, names, parts, headers].map((each) => libc.addressOf(each));
  const octets: Uint8Array[] = [];
  const addresses: SocketAddress[] = [];
  const headerAddresses: bigint[] = [];
  for (let slot = 0; slot < batchSlots; slot += 1) {
    const [dataOffset, nameOffset] = [slot * stride, slot * ipv6SocketAddressSizeBytes];
    octets.push(new Uint8Array(data.buffer, data.byteOffset + dataOffset, roomBytes));
    addresses.push(new Uint8Array(names.buffer, names.byteOffset + nameOffset, addressSizeBytes));
    headerAddresses.push((headersAt as bigint) + BigInt(slot * headerBytes));
    parts.writeBigUInt64LE((dataAt as bigint) + BigInt(dataOffset), slot * partWords * 4);
    headers.writeBigUInt64LE((namesAt as bigint) + BigInt(nameOffset), slot * headerBytes);
    headers.writeUInt32LE(addressSizeBytes, slot * headerBytes + word.nameSize * 4);
    headers.writeBigUInt64LE((partsAt as bigint) + BigInt(slot * partWords * 4), slot * headerBytes + 16);
    headers.writeBigUInt64LE(1n, slot * headerBytes + 24);
  }
  return {
    octets,
    addresses,
    headerAddresses,
    headers: wordsOf(headers),
    parts: wordsOf(parts),
    memory: [data, names, parts, headers],
  };
}

function wordsOf(memory: Buffer): Uint32Array {
  return new Uint32Array(memory.buffer, memory.byteOffset, memory.length / 4);
}
