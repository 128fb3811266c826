/*
 * UDP towards pods in batches: one call takes what the socket has, one call sends all the replies that need nobody else. So a hit costs
 * a share of two system calls and no object. The socket is bound to one address, so that every reply leaves from the address that was
 * asked: musl and glibc accept no other.
 */
import { isIPv6 } from "node:net";
import { batchSlots, createReceiveBatch, hasBatchLayout, type ReceiveBatch } from "../runtime/datagram-batch.ts";
import { libc, type Libc } from "../runtime/libc.ts";
import type { ServerAddress } from "../runtime/server-address.ts";
import { bindSharedSocket } from "../runtime/shared-socket.ts";
import {
  ipv4SocketAddressSizeBytes,
  ipv6SocketAddressSizeBytes,
  portOf,
  type SocketAddress,
} from "../runtime/socket-address.ts";
import { canWatchDescriptors, type DescriptorWatch, Readiness, watchDescriptor } from "../runtime/watch-descriptor.ts";
import { copyOctets } from "../wire/octets.ts";
import { createQueryAnswerer, maxQuerySizeBytes, noReply, replyLater } from "./answer-query.ts";
import type { Front } from "./front.ts";
import { createListenCounters } from "./listen-counters.ts";
import type { Listener } from "./listener.ts";
import { createSendQueue } from "./send-queue.ts";

/** Whether `listenInBatches` works here. */
export function canListenInBatches(): boolean {
  return canWatchDescriptors() && hasBatchLayout;
}

/** So many full batches, about a millisecond, then TCP, timers and the answers to misses have their turn. */
const batchesPerWake = 4;

/**
 * A query that has lain in the socket for so long is dropped: after a stop or in a flood, the work is for those who still wait.
 * Its sender has asked again or is about to (musl after 2.5 s, others after 2 to 5 s).
 */
const lateQueryMs = 1900;

/** When the queue was empty so short a time ago, nothing in it can be late, or has waited long enough to be why its client asks again. */
const shortQueueMs = 50;

/** A batch is answered before the next one is received, so all sockets of a family share its memory. */
const receiveBatches = new Map<number, ReceiveBatch>();

/**
 * Binds `address` (the kernel picks a port for 0) and answers on it. Throws the system's error if it cannot be bound, and where
 * `canListenInBatches` is false.
 */
export function listenInBatches(address: ServerAddress, front: Front): Listener {
  const shared = bindSharedSocket("udp", address);
  if (libc === undefined || shared === undefined) throw new Error("the C library cannot be called");
  const { fd, isShared, leave, receiveDrops } = shared;
  const { clock } = front;
  const bound = { host: address.host, port: shared.port };
  const counters = createListenCounters(bound, "udp");
  const answerer = createQueryAnswerer(front, counters);
  const addressSizeBytes = isIPv6(address.host) ? ipv6SocketAddressSizeBytes : ipv4SocketAddressSizeBytes;
  const received = receiveBatchFor(libc, addressSizeBytes);
  const queue = createSendQueue(libc, fd, addressSizeBytes, counters);
  let taken = 0;
  let emptyAtMs = clock.nowMs();
  let isFlushDue = false;
  let isWaitingForRoom = false;
  let isDraining = false;
  let closing: Promise<void> | undefined;
  let dropsUntilClosed: number | undefined;
  const watch = watchOrClose(libc, fd, takeTurn);

  /** While the kernel takes no replies, it keeps the queries too. */
  function takeTurn(): void {
    // Late replies wait for the end of the turn, and the queue has room for one batch.
    flush();
    for (let batch = 0; batch < batchesPerWake && !queue.isBlocked(); batch += 1) {
      const nowMs = clock.nowMs();
      const mayBeLate = nowMs - emptyAtMs > shortQueueMs;
      // -1 is an empty queue, or an error about a reply sent before.
      const count = received.receive(fd, mayBeLate);
      if (count > 0) answerBatch(count, nowMs, mayBeLate);
      if (count === batchSlots) continue;
      emptyAtMs = nowMs;
      break;
    }
  }

  function answerBatch(count: number, nowMs: number, mayBeLate: boolean): void {
    taken += count;
    if (isDraining) return;
    for (let slot = 0; slot < count; slot += 1) {
      const waitedMs = mayBeLate ? waitedMsOf(received, slot, clock.wallMs(), nowMs - emptyAtMs) : 0;
      answer(slot, nowMs, waitedMs);
    }
    flush();
    answerer.endBatch(clock.nowMs());
  }

  function answer(slot: number, nowMs: number, waitedMs: number): void {
    const packet = received.octets[slot] as Uint8Array;
    const client = received.addresses[slot] as SocketAddress;
    const sizeBytes = received.sizeOf(slot);
    // Nothing can be sent to port 0, which only a forged packet has.
    if (portOf(client) === 0) return;
    if (sizeBytes < 0) {
      counters.drops.malformed += 1;
      return;
    }
    if (waitedMs > lateQueryMs) {
      answerer.dropLate(packet, sizeBytes, client, nowMs - waitedMs);
      return;
    }
    const size = answerer.answerNow(packet, sizeBytes, client, queue.room(), nowMs, waitedMs);
    if (size > noReply) queue.add(size, client);
    if (size !== replyLater) return;
    const kept = copyOctets(client, 0, client.length);
    answerer.answerLater(kept, (message, late) => sendLate(message, late, kept));
  }

  /** All that is answered in one turn of the loop leaves in one call. */
  function sendLate(message: Uint8Array, sizeBytes: number, client: SocketAddress): void {
    if (sizeBytes === noReply || closing !== undefined) return;
    queue.room().set(message.subarray(0, sizeBytes));
    queue.add(sizeBytes, client);
    if (isFlushDue) return;
    isFlushDue = true;
    clock.afterIo(() => {
      isFlushDue = false;
      if (closing === undefined) flush();
    });
  }

  function flush(): void {
    queue.flush();
    if (queue.isBlocked() === isWaitingForRoom) return;
    isWaitingForRoom = queue.isBlocked();
    watch.waitFor(isWaitingForRoom ? Readiness.writable : Readiness.readable);
  }

  async function close(): Promise<void> {
    dropsUntilClosed = receiveDrops() ?? 0;
    queue.flush();
    queue.abandon();
    const stopped = watch.stop();
    libc?.close(fd);
    await stopped;
  }

  return {
    address: bound,
    protocol: "udp",
    counters,
    isShared,
    takenCount: () => taken,
    receiveDrops: () => dropsUntilClosed ?? receiveDrops(),
    leave,
    drain() {
      isDraining = true;
    },
    close: () => (closing ??= close()),
  };
}

function watchOrClose(lib: Libc, fd: number, run: () => void): DescriptorWatch {
  try {
    return watchDescriptor(fd, run, { hasPromises: false });
  } catch (error) {
    lib.close(fd);
    throw error;
  }
}

/**
 * How long a query lay in the socket, at most the time since that was empty: the wall clock, which stamps are of, may have been set
 * meanwhile.
 */
function waitedMsOf(received: ReceiveBatch, slot: number, wallMs: number, mostMs: number): number {
  const stampMs = received.stampMsOf(slot);
  return stampMs === 0 ? 0 : Math.min(Math.max(0, wallMs - stampMs), mostMs);
}

function receiveBatchFor(lib: Libc, addressSizeBytes: number): ReceiveBatch {
  const known = receiveBatches.get(addressSizeBytes);
  if (known !== undefined) return known;
  const created = createReceiveBatch(lib, addressSizeBytes, maxQuerySizeBytes);
  receiveBatches.set(addressSizeBytes, created);
  return created;
}
