/*
 * TCP towards pods: a bounded number of connections, of which the longest idle gives way to a new one (RFC 7766 §6.2.3): one of the same
 * client if that has its share, otherwise one of the client with the most. What is kept for all together is bounded too.
 */
import type { ServerAddress } from "../runtime/server-address.ts";
import { hasSameHost, type SocketAddress, socketAddress } from "../runtime/socket-address.ts";
import { createQueryAnswerer } from "./answer-query.ts";
import type { Front } from "./front.ts";
import { canListenInBatches } from "./batch-listener.ts";
import type { OpenStreamServer, StreamServer } from "./client-streams.ts";
import { type ConnectionTable, createConnectionTable, type TableLimits } from "./connection-table.ts";
import { openDescriptorServer } from "./descriptor-server.ts";
import { createListenCounters } from "./listen-counters.ts";
import type { Listener } from "./listener.ts";
import { openNodeServer } from "./node-streams.ts";
import { type Connection, type ConnectionCalls, type ConnectionLimits, createConnections } from "./tcp-connection.ts";
import type { BatchChoice } from "./udp-listener.ts";

/** Limits of a listener (settings: listen.tcp). */
export type TcpListenLimits = TableLimits & ConnectionLimits;

const sweepIntervalMs = 500;

/**
 * Binds `address` (the kernel picks a port for 0) and answers on it. Rejects with the system's error if it cannot be bound. A later
 * change of `limits` takes effect.
 */
export function listenTcp(
  address: ServerAddress,
  front: Front,
  limits: TcpListenLimits,
  batch: BatchChoice,
): Promise<Listener> {
  if (batch === "auto" && canListenInBatches()) return listenOn(openDescriptorServer, address, front, limits);
  return listenOn(openNodeServer, address, front, limits);
}

async function listenOn<Stream>(
  open: OpenStreamServer<Stream>,
  address: ServerAddress,
  front: Front,
  limits: TcpListenLimits,
): Promise<Listener> {
  const { clock } = front;
  const server: StreamServer<Stream> = await open<Connection<Stream>>(address, clock, {
    onOpen,
    onData: (connection, octets) => connections.receive(connection, octets),
    onRoom: (connection) => connections.goOn(connection),
    onEnd: (connection) => connections.drain(connection),
    onClose,
    // UDP goes on in the meantime.
    onWant: () => table.giveOneBack(),
  });
  const counters = createListenCounters({ host: address.host, port: server.port }, "tcp");
  const answerer = createQueryAnswerer(front, counters);
  const own = socketAddress(counters.address);
  const connections: ConnectionCalls<Stream> = createConnections(server.calls, { answerer, clock }, limits, {
    onQuery: (connection) => table.touch(connection),
    onHold: () => table.freeMemory(),
  });
  const table: ConnectionTable<Connection<Stream>> = createConnectionTable(limits, { counters, clock }, connections);
  let taken = 0;
  let cancelSweep = clock.after(sweepIntervalMs, sweep);

  function onOpen(stream: Stream, peer: SocketAddress): Connection<Stream> | undefined {
    if (!front.accessList(peer)) {
      counters.drops.denied += 1;
      return undefined;
    }
    // Only the first query shows whether a connection from this machine is a client's: nodens asks itself too.
    const connection = connections.create(stream, peer, hasSameHost(peer, own));
    table.makeRoomFor(connection.client);
    table.add(connection);
    taken += 1;
    return connection;
  }

  function onClose(connection: Connection<Stream>): void {
    connections.noteClose(connection);
    table.remove(connection);
  }

  function sweep(): void {
    table.sweep();
    cancelSweep = clock.after(sweepIntervalMs, sweep);
  }

  return {
    address: counters.address,
    protocol: "tcp",
    counters,
    isShared: server.isShared,
    takenCount: () => taken,
    receiveDrops: () => 0,
    leave: server.leave,
    drain() {
      server.stop();
      for (const connection of table.all()) connections.drain(connection);
    },
    close() {
      cancelSweep();
      for (const connection of table.all()) connections.destroy(connection);
      return server.close();
    },
  };
}
