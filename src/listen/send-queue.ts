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

/** The queue. It holds as many replies as one call can send. */
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
  let isBlocked = false;
  let hasFailed = false;

  function room(): Uint8Array {
    if (end === batchSlots) {
      // The kernel takes nothing. The youngest gives way: those before it have waited longer.
      counters.unsent.other += 1;
      end -= 1;
    }
    return batch.octets[end] as Uint8Array;
  }

  function add(sizeBytes: number, client: SocketAddress): void {
    const address = batch.addresses[end] as Uint8Array;
    for (let at = 0; at < addressSizeBytes; at += 1) address[at] = client[at] as number;
    batch.setSize(end, sizeBytes);
    end += 1;
    if (end === batchSlots && !isBlocked) flush();
  }

  function flush(): void {
    isBlocked = false;
    while (first < end) {
      const sent = batch.send(fd, first, end);
      if (sent > 0) {
        first += sent;
        hasFailed = false;
      } else if (!skipAfter(libc.lastErrno())) return;
    }
    first = 0;
    end = 0;
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
    counters.unsent.other += end - first;
    first = 0;
    end = 0;
  }

  return { room, add, flush, isBlocked: () => isBlocked, abandon };
}
