/*
 * TCP towards pods: a bounded number of connections, the longest idle one giving way to a new one (RFC 7766 §6.2.3).
 */
import { createServer, isIPv6, type Server, type Socket } from "node:net";
import type { ServerAddress } from "../runtime/server-address.ts";
import { bindSharedSocket, type SharedSocket } from "../runtime/shared-socket.ts";
import { createQueryAnswerer, type Front } from "./answer-query.ts";
import { isSameHost } from "./health-question.ts";
import { createListenCounters } from "./listen-counters.ts";
import { type ClientConnection, type ConnectionLimits, serveConnection } from "./tcp-connection.ts";
import type { Listener } from "./listener.ts";

/** Limits of a listener (settings: listen.tcp). */
export interface TcpListenLimits extends ConnectionLimits {
  readonly maxConnections: number;
  /** A connection without a whole query for so long is closed, whatever octets arrive on it. */
  readonly idleTimeoutMs: number;
}

const sweepIntervalMs = 500;

/** Binds `address` (port 0 picks one) and answers. Rejects with the system's error when that is not possible. */
export async function listenTcp(address: ServerAddress, front: Front, limits: TcpListenLimits): Promise<Listener> {
  const { clock } = front;
  const server = createServer({ allowHalfOpen: true, noDelay: true });
  const shared = address.port === 0 ? undefined : bindSharedSocket("tcp", address);
  const port = await bind(server, address, shared);
  const counters = createListenCounters({ host: address.host, port }, "tcp");
  const answerer = createQueryAnswerer(front, counters);
  // By last activity, the longest idle first: a connection moves to the end when a query comes.
  const lastActive = new Map<ClientConnection, number>();
  let taken = 0;
  let cancelSweep = clock.after(sweepIntervalMs, sweep);

  server.on("connection", accept);
  // Out of descriptors: give one back. UDP goes on meanwhile.
  server.on("error", () => evictOldest());

  function accept(socket: Socket): void {
    if (!front.accessList(socket.remoteAddress ?? "")) {
      counters.drops.denied += 1;
      socket.destroy();
      return;
    }
    if (lastActive.size >= limits.maxConnections) evictOldest();
    const connection = serveConnection(socket, answerer, limits, noteQuery, noteClose);
    taken += 1;
    counters.openConnections += 1;
    lastActive.set(connection, clock.nowMs());
    // Whether one from this machine is a client's shows with its first query: nodens asks itself too.
    let isCounted = false;
    let isOwn = false;
    if (!isSameHost(socket.remoteAddress ?? "", address.host)) count();

    function count(): void {
      if (!isCounted) counters.acceptedConnections += 1;
      isCounted = true;
    }
    function noteQuery(): void {
      if (answerer.wasOwn()) isOwn = true;
      else count();
      lastActive.delete(connection);
      lastActive.set(connection, clock.nowMs());
    }
    function noteClose(): void {
      if (!isOwn) count();
      if (lastActive.delete(connection)) counters.openConnections -= 1;
    }
  }

  /** Ends the connection that has been idle longest or, where none is idle, silent longest. */
  function evictOldest(): void {
    let oldest: ClientConnection | undefined;
    for (const connection of lastActive.keys()) {
      oldest ??= connection;
      if (!connection.isIdle()) continue;
      oldest = connection;
      break;
    }
    if (oldest === undefined) return;
    counters.evictedConnections += 1;
    drop(oldest);
  }

  function sweep(): void {
    const idleSinceMs = clock.nowMs() - limits.idleTimeoutMs;
    for (const [connection, activeAtMs] of lastActive) {
      if (activeAtMs > idleSinceMs) break;
      if (connection.isIdle()) drop(connection);
    }
    cancelSweep = clock.after(sweepIntervalMs, sweep);
  }

  /** Takes it out at once: its "close" comes later, and must not be counted twice. */
  function drop(connection: ClientConnection): void {
    if (lastActive.delete(connection)) counters.openConnections -= 1;
    connection.destroy();
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
      for (const connection of lastActive.keys()) connection.drain();
    },
    close() {
      cancelSweep();
      for (const connection of lastActive.keys()) connection.destroy();
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
