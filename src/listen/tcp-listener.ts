/*
 * TCP towards pods: a bounded number of connections, of which the longest idle gives way to a new one (RFC 7766 §6.2.3): one of the same
 * client if that has its share, otherwise one of the client with the most. What is kept for all together is bounded too.
 */
import { createServer, isIPv6, type Server, type Socket } from "node:net";
import type { ServerAddress } from "../runtime/server-address.ts";
import { bindSharedSocket, type SharedSocket } from "../runtime/shared-socket.ts";
import { hasSameHost, socketAddress } from "../runtime/socket-address.ts";
import { createQueryAnswerer, type Front } from "./answer-query.ts";
import { createListenCounters } from "./listen-counters.ts";
import { createConnectionTable, type TableLimits } from "./connection-table.ts";
import { type ConnectionLimits, serveConnection } from "./tcp-connection.ts";
import type { Listener } from "./listener.ts";

/** Limits of a listener (settings: listen.tcp). */
export type TcpListenLimits = TableLimits & ConnectionLimits;

const sweepIntervalMs = 500;

/** When a client has left this much unread, its next queries are not read. */
const highWaterMark = 16 * 1024;

/**
 * Binds `address` (the kernel picks a port for 0) and answers on it. Rejects with the system's error if it cannot be bound. A later
 * change of `limits` takes effect.
 */
export async function listenTcp(address: ServerAddress, front: Front, limits: TcpListenLimits): Promise<Listener> {
  const { clock } = front;
  const server = createServer({ allowHalfOpen: true, noDelay: true, highWaterMark });
  const shared = address.port === 0 ? undefined : bindSharedSocket("tcp", address);
  const port = await bind(server, address, shared);
  const counters = createListenCounters({ host: address.host, port }, "tcp");
  const answerer = createQueryAnswerer(front, counters);
  const table = createConnectionTable(limits, counters, clock);
  const own = socketAddress(counters.address);
  let taken = 0;
  let cancelSweep = clock.after(sweepIntervalMs, sweep);

  server.on("connection", accept);
  // Out of descriptors: give one back. UDP goes on in the meantime.
  server.on("error", table.giveOneBack);

  function accept(socket: Socket): void {
    const { remoteAddress: client, remotePort = 0 } = socket;
    // It has ended already.
    if (client === undefined) {
      socket.destroy();
      return;
    }
    const peer = socketAddress({ host: client, port: remotePort });
    if (!front.accessList(peer)) {
      counters.drops.denied += 1;
      socket.destroy();
      return;
    }
    table.makeRoomFor(client);
    const connection = serveConnection(socket, { client, peer, answerer, clock }, limits, {
      onQuery: noteQuery,
      onHold: table.freeMemory,
      onClose: noteClose,
    });
    taken += 1;
    table.add(connection);
    // Only the first query shows whether a connection from this machine is a client's: nodens asks itself too.
    let isCounted = false;
    let isOwn = false;
    if (!hasSameHost(peer, own)) count();

    function count(): void {
      if (!isCounted) counters.acceptedConnections += 1;
      isCounted = true;
    }
    function noteQuery(): void {
      if (answerer.wasOwn()) isOwn = true;
      else count();
      table.touch(connection);
    }
    function noteClose(): void {
      if (!isOwn) count();
      table.remove(connection);
    }
  }

  function sweep(): void {
    table.sweep();
    cancelSweep = clock.after(sweepIntervalMs, sweep);
  }

  return {
    address: { host: address.host, port },
    protocol: "tcp",
    counters,
    isShared: shared?.isShared ?? false,
    takenCount: () => taken,
    receiveDrops: () => 0,
    leave: () => shared?.leave(),
    drain() {
      server.close();
      for (const connection of table.all()) connection.drain();
    },
    close() {
      cancelSweep();
      for (const connection of table.all()) connection.destroy();
      return new Promise((resolve) => {
        // The callback also comes, with an error, if `drain` has closed the server already.
        server.close(() => resolve());
      });
    },
  };
}

function bind(server: Server, address: ServerAddress, shared: SharedSocket | undefined): Promise<number> {
  const { host, port } = address;
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    const place = shared === undefined ? { host, port, ipv6Only: isIPv6(host), exclusive: true } : { fd: shared.fd };
    server.listen({ ...place, backlog }, () => {
      server.off("error", reject);
      const bound = server.address();
      resolve(typeof bound === "object" && bound !== null ? bound.port : port);
    });
  });
}

/** How many connections the kernel queues until they are accepted, if net.core.somaxconn allows that many. */
const backlog = 1024;
