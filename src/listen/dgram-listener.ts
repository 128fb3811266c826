/*
 * UDP towards pods through node:dgram, one datagram at a time, where batches cannot be had. The socket is bound to one address, so that
 * every reply leaves from the address that was asked: musl and glibc accept no other.
 */
import { createSocket, type Socket } from "node:dgram";
import { isIPv6 } from "node:net";
import { LRUCache } from "lru-cache";
import type { ServerAddress } from "../runtime/server-address.ts";
import { bindSharedSocket, receiveQueueSizeBytes, type SharedSocket } from "../runtime/shared-socket.ts";
import { setPort, type SocketAddress, socketAddress } from "../runtime/socket-address.ts";
import { createQueryAnswerer, maxQuerySizeBytes, maxUdpReplyRoomBytes, noReply, replyLater } from "./answer-query.ts";
import type { Front } from "./front.ts";
import { createListenCounters } from "./listen-counters.ts";
import type { Listener } from "./listener.ts";

/** The number of clients whose addresses are kept in the kernel's form: more than a node has pods. */
const rememberedClients = 4096;

/** Binds `address` (the kernel picks a port for 0) and answers on it. Rejects with the system's error if it cannot be bound. */
export async function listenByDgram(address: ServerAddress, front: Front): Promise<Listener> {
  const socket = createSocket(isIPv6(address.host) ? { type: "udp6", ipv6Only: true } : { type: "udp4" });
  const shared = address.port === 0 ? undefined : bindSharedSocket("udp", address);
  await bind(socket, address, shared);
  const bound = { host: address.host, port: socket.address().port };
  const counters = createListenCounters(bound, "udp");
  const answerer = createQueryAnswerer(front, counters);
  const target = new Uint8Array(maxUdpReplyRoomBytes);
  const clients = new LRUCache<string, SocketAddress>({ max: rememberedClients });
  let taken = 0;
  let isDraining = false;
  let isClosed = false;
  let dropsUntilClosed: number | undefined;

  socket.on("message", (packet, peer) => {
    taken += 1;
    // Nothing can be sent to port 0, which only a forged packet has.
    if (isDraining || peer.port === 0) return;
    if (packet.length > maxQuerySizeBytes) {
      counters.drops.malformed += 1;
      return;
    }
    const client = clientOf(peer.address);
    setPort(client, peer.port);
    const size = answerer.answerNow(packet, packet.length, client, target, front.clock.nowMs());
    if (size === replyLater) answerer.answerLater(client, (message, late) => send(message, late, peer));
    else send(target, size, peer);
    answerer.endBatch(front.clock.nowMs());
  });
  // An error about one datagram (a peer that is gone) is not an error of the socket.
  socket.on("error", () => {});

  /** A client that cannot be reached any more asks again or does not; but who forbids a reply forbids the next as well. */
  function noteSent(error: NodeJS.ErrnoException | null): void {
    if (error !== null) counters.unsent[error.code === "EPERM" ? "forbidden" : "other"] += 1;
  }

  /** Node reports addresses as text. The port is that of the last query. */
  function clientOf(host: string): SocketAddress {
    const known = clients.get(host);
    if (known !== undefined) return known;
    const client = socketAddress({ host, port: 0 });
    clients.set(host, client);
    return client;
  }

  /** Sends a copy: the socket may send later, and the next query overwrites the buffer. */
  function send(message: Uint8Array, sizeBytes: number, peer: { address: string; port: number }): void {
    if (sizeBytes === noReply || isClosed) return;
    socket.send(Buffer.from(message.subarray(0, sizeBytes)), peer.port, peer.address, noteSent);
  }

  return {
    address: bound,
    protocol: "udp",
    counters,
    isShared: shared?.isShared ?? false,
    takenCount: () => taken,
    receiveDrops: () => dropsUntilClosed ?? shared?.receiveDrops(),
    leave: () => shared?.leave(),
    drain() {
      isDraining = true;
    },
    close() {
      if (isClosed) return Promise.resolve();
      isClosed = true;
      dropsUntilClosed = shared?.receiveDrops() ?? 0;
      return new Promise((resolve) => socket.close(() => resolve()));
    },
  };
}

function bind(socket: Socket, address: ServerAddress, shared: SharedSocket | undefined): Promise<void> {
  const { host, port } = address;
  return new Promise((resolve, reject) => {
    socket.once("error", reject);
    socket.bind(shared === undefined ? { address: host, port, exclusive: true } : { fd: shared.fd }, () => {
      socket.off("error", reject);
      // A shared socket has its queue from the kernel already.
      if (shared !== undefined) return resolve();
      try {
        socket.setRecvBufferSize(receiveQueueSizeBytes);
      } catch {
        // The default size works too, but holds shorter bursts.
      }
      resolve();
    });
  });
}
