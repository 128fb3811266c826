/*
 * The open connections of one listener, and which of them ends when there are too many, or when too much is kept for them.
 */
import type { Clock } from "../runtime/clock.ts";
import type { ListenCounters } from "./listen-counters.ts";
import type { ClientConnection } from "./tcp-connection.ts";

/** Limits of all connections (settings: listen.tcp). */
export interface TableLimits {
  readonly maxConnections: number;
  /** Of one client's address. */
  readonly maxConnectionsPerClient: number;
  /** A connection without a whole query for so long is closed, whatever octets arrive on it. */
  readonly idleTimeoutMs: number;
}

/** Open connections. */
export interface ConnectionTable {
  /** Ends what stands in the way of one more connection of this client: its own where it has its share, else one of whoever has most. */
  makeRoomFor(client: string): void;
  add(connection: ClientConnection): void;
  /** A query came on it. */
  touch(connection: ClientConnection): void;
  /** It has ended. Harmless when it was taken out before. */
  remove(connection: ClientConnection): void;
  /** Ends one of whoever has most: the process is out of descriptors. */
  giveOneBack(): void;
  /** Ends the one for which most is kept, where too much is kept for all together. */
  freeMemory(): void;
  /** Ends those that have been idle for too long. */
  sweep(): void;
  all(): Iterable<ClientConnection>;
}

/** Unread replies and unanswered queries of all connections: what fits beside a full cache into the container's memory. */
const maxHeldBytes = 4 * 1024 * 1024;

/** Creates an empty table, which counts in `counters`. */
export function createConnectionTable(limits: TableLimits, counters: ListenCounters, clock: Clock): ConnectionTable {
  // By last activity, the longest idle first: a connection moves to the end when a query comes.
  const lastActive = new Map<ClientConnection, number>();
  const countByClient = new Map<string, number>();

  function count(client: string, by: number): void {
    counters.openConnections += by;
    const sum = (countByClient.get(client) ?? 0) + by;
    if (sum === 0) countByClient.delete(client);
    else countByClient.set(client, sum);
  }

  /** Not twice: "close" comes also for what was dropped. */
  function remove(connection: ClientConnection): void {
    if (lastActive.delete(connection)) count(connection.client, -1);
  }

  function drop(connection: ClientConnection): void {
    remove(connection);
    connection.destroy();
  }

  /** Ends the client's connection that has been idle longest or, where none is idle, silent longest. */
  function evictOldestOf(client: string): void {
    const ofClient = [...lastActive.keys()].filter((connection) => connection.client === client);
    const oldest = ofClient.find((connection) => connection.isIdle()) ?? ofClient[0];
    if (oldest === undefined) return;
    counters.evictedConnections += 1;
    drop(oldest);
  }

  function clientWithMost(): string {
    const [most] = [...countByClient].reduce((one, other) => (other[1] > one[1] ? other : one), ["", 0]);
    return most;
  }

  return {
    makeRoomFor(client) {
      if ((countByClient.get(client) ?? 0) >= limits.maxConnectionsPerClient) evictOldestOf(client);
      if (lastActive.size >= limits.maxConnections) evictOldestOf(clientWithMost());
    },
    add(connection) {
      lastActive.set(connection, clock.nowMs());
      count(connection.client, 1);
    },
    touch(connection) {
      if (lastActive.delete(connection)) lastActive.set(connection, clock.nowMs());
    },
    remove,
    giveOneBack: () => evictOldestOf(clientWithMost()),
    freeMemory() {
      let heldBytes = 0;
      let most: ClientConnection | undefined;
      for (const connection of lastActive.keys()) {
        heldBytes += connection.heldSizeBytes();
        if (most === undefined || connection.heldSizeBytes() > most.heldSizeBytes()) most = connection;
      }
      if (heldBytes <= maxHeldBytes || most === undefined) return;
      counters.overflowedConnections += 1;
      drop(most);
    },
    sweep() {
      const idleSinceMs = clock.nowMs() - limits.idleTimeoutMs;
      for (const [connection, activeAtMs] of lastActive) {
        if (activeAtMs > idleSinceMs) break;
        if (connection.isIdle()) drop(connection);
      }
    },
    all: () => lastActive.keys(),
  };
}
