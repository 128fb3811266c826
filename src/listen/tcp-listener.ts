/*
 * TCP towards pods: a bounded number of connections, the longest idle one giving way to a new one (RFC 7766 §6.2.3): one of the same
 * client where that has its share, otherwise one of the client with most. What is kept for all together is bounded too.
 */
import { createServer, isIPv6, type Server, type Socket } from "node:net";
import type { ServerAddress } from "../runtime/server-address.ts";
import { bindSharedSocket, type SharedSocket } from "../runtime/shared-socket.ts";
import { createQueryAnswerer, type Front } from "./answer-query.ts";
import { isSameHost } from "./health-question.ts";
import { createListenCounters } from "./listen-counters.ts";
import { createConnectionTable, type TableLimits } from "./connection-table.ts";
import { type ConnectionLimits, serveConnection } from "./tcp-connection.ts";
import type { Listener } from "./listener.ts";

/** Limits of a listener (settings: listen.tcp). */
export type TcpListenLimits = TableLimits & ConnectionLimits;

const sweepIntervalMs = 500;

/** So much that a client did not read yet stops the reading of its next queries. */
const highWaterMark = 16 * 1024;

/** Binds `address` (port 0 picks one) and answers. Rejects with the system's error when that is not possible. */
export async function listenTcp(address: ServerAddress, front: Front, limits: TcpListenLimits): Promise<Listener> {
  const { clock } = front;
  const server = createServer({ allowHalfOpen: true, noDelay: true, highWaterMark });
  const shared = address.port === 0 ? undefined : bindSharedSocket("tcp", address);
  const port = await bind(server, address, shared);
  const counters = createListenCounters({ host: address.host, port }, "tcp");
  const answerer = createQueryAnswerer(front, counters);
  const table = createConnectionTable(limits, counters, clock);
  let taken = 0;
  let cancelSweep = clock.after(sweepIntervalMs, sweep);

  server.on("connection", accept);
  // Out of descriptors: give one back. UDP goes on meanwhile.
  server.on("error", table.giveOneBack);

  function accept(socket: Socket): void {
    const client = socket.remoteAddress ?? "";
    if (!front.accessList(client)) {
      counters.drops.denied += 1;
      socket.destroy();
      return;
    }
    table.makeRoomFor(client);
    const connection = serveConnection(socket, answerer, limits, {
      onQuery: noteQuery,
      onHold: table.freeMemory,
      onClose: noteClose,
    });
    taken += 1;
    table.add(connection);
    // Whether one from this machine is a client's shows with its first query: nodens asks itself too.
    let isCounted = false;
    let isOwn = false;
    if (!isSameHost(client, address.host)) count();

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
    leave: () => shared?.leave(),
    drain() {
      server.close();
      for (const connection of table.all()) connection.drain();
    },
    close() {
      cancelSweep();
      for (const connection of table.all()) connection.destroy();
      return new Promise((resolve) => {
        // Also when it was closed by `drain` already: then the callback gets an error that says so.
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

/** Connections that the kernel keeps until they are accepted, if net.core.somaxconn allows as many. */
const backlog = 1024;
