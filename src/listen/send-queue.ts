/*
 * Replies of one UDP socket on their way to the kernel, many in one call. Nothing is sent twice, and nothing is lost that the kernel will
 * take later: if it has no room, the queue waits; a reply that it refuses for good (a firewall, an address without a route) is counted.
 */
import { constants } from "node:os";
import { batchSlots, createSendBatch } from "../runtime/datagram-batch.ts";
import type { Libc } from "../runtime/libc.ts";
import type { SocketAddress } from "../runtime/socket-address.ts";
import { maxUdpReplyRoomBytes } from "./answer-query.ts";
import type { ListenCounters } from "./listen-counters.ts";

/** The queue: as many replies as one call can send, and more while the kernel has no room. */
export interface SendQueue {
  /** Where to write the next reply, room for maxUdpReplyRoomBytes. What is there already counts only once it is added. */
  room(): Uint8Array;
  /** Adds the reply of this size that was written there, for this client, and sends all if the queue is full. */
  add(sizeBytes: number, client: SocketAddress): void;
  /** Sends all, as far as the kernel takes it. */
  flush(): void;
  /** Whether the kernel has no room: nothing leaves before a flush when the socket is writable. */
  isBlocked(): boolean;
  /** Gives up what is left, which counts as not sent. */
  abandon(): void;
}

/** What may wait beyond one call's replies, with what each costs beside its octets. Queries are not read meanwhile, so this is for misses. */
const maxKeptBytes = 1024 * 1024;
const keptOverheadBytes = 256;

/** A reply that waits outside the memory that the kernel reads. */
interface Kept {
  readonly message: Uint8Array;
  readonly client: SocketAddress;
}

/** Creates an empty queue of the socket `fd`, whose clients have addresses of this size. */
export function createSendQueue(
  libc: Libc,
  fd: number,
  addressSizeBytes: number,
  counters: Pick<ListenCounters, "unsent">,
): SendQueue {
  const batch = createSendBatch(libc, addressSizeBytes, maxUdpReplyRoomBytes);
  // The slots from `first` up to, not including, `end` are full.
  let first = 0;
  let end = 0;
  // While there are any, all slots are full.
  const kept: Kept[] = [];
  let keptBytes = 0;
  const spareRoom = new Uint8Array(maxUdpReplyRoomBytes);
  let isBlocked = false;
  let hasFailed = false;

  function room(): Uint8Array {
    return batch.octets[end] ?? spareRoom;
  }

  function add(sizeBytes: number, client: SocketAddress): void {
    if (end === batchSlots) {
      keep(sizeBytes, client);
      return;
    }
    fillSlot(sizeBytes, client);
    if (end === batchSlots && !isBlocked) flush();
  }

  function fillSlot(sizeBytes: number, client: SocketAddress): void {
    const address = batch.addresses[end] as Uint8Array;
    for (let at = 0; at < addressSizeBytes; at += 1) address[at] = client[at] as number;
    batch.setSize(end, sizeBytes);
    end += 1;
  }

  /** The kernel takes nothing. Beyond the bound the youngest give way: those before have waited longer. */
  function keep(sizeBytes: number, client: SocketAddress): void {
    if (keptBytes + sizeBytes + keptOverheadBytes > maxKeptBytes) {
      counters.unsent.other += 1;
      return;
    }
    keptBytes += sizeBytes + keptOverheadBytes;
    kept.push({ message: spareRoom.slice(0, sizeBytes), client: client.slice() });
  }

  /** All slots are free again. */
  function refill(): void {
    first = 0;
    end = 0;
    if (kept.length === 0) return;
    for (const { message, client } of kept.splice(0, batchSlots)) {
      keptBytes -= message.length + keptOverheadBytes;
      room().set(message);
      fillSlot(message.length, client);
    }
  }

  function flush(): void {
    isBlocked = false;
    while (first < end) {
      const sent = batch.send(fd, first, end);
      if (sent > 0) {
        first += sent;
        hasFailed = false;
      } else if (!skipAfter(libc.lastErrno())) return;
      if (first === end) refill();
    }
  }

  /**
   * The call failed at the first reply. An error may be left over from a reply sent before (ECONNREFUSED), so each one gets a second
   * attempt before it is given up. Returns whether to go on.
   */
  function skipAfter(errno: number): boolean {
    if (errno === constants.errno.EAGAIN) {
      isBlocked = true;
      hasFailed = false;
      return false;
    }
    if (hasFailed) {
      counters.unsent[errno === constants.errno.EPERM ? "forbidden" : "other"] += 1;
      first += 1;
    }
    hasFailed = !hasFailed;
    return true;
  }

  function abandon(): void {
    counters.unsent.other += end - first + kept.length;
    kept.length = 0;
    keptBytes = 0;
    first = 0;
    end = 0;
  }

  return { room, add, flush, isBlocked: () => isBlocked, abandon };
}
