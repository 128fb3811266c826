/*
 * The open connections of one listener, and which of them to close when there are too many, or when too much is kept for them.
 */
import type { Clock } from "../runtime/clock.ts";
import { type ActivityEntry, createActivityList } from "./activity-list.ts";
import type { ListenCounters } from "./listen-counters.ts";

/** Limits of all connections (settings: listen.tcp). */
export interface TableLimits {
  /** The most connections of one listener. */
  readonly maxConnections: number;
  /** The most connections from one client address. */
  readonly maxConnectionsPerClient: number;
  /** A connection is closed after this time without a complete query, whatever octets arrive on it. */
  readonly idleTimeoutMs: number;
}

/** What the table knows of a connection: whose it is, and its place. */
export interface TableEntry<Entry> extends ActivityEntry<Entry> {
  /** The client's address, in any form that is always the same. */
  readonly client: ClientKey;
}

/** A client's address as a key. */
export type ClientKey = string | number;

/** What the table asks of a connection, and does to it. */
export interface TableCalls<Connection> {
  /** Whether no query is waiting for its answer. */
  isIdle(connection: Connection): boolean;
  /** The octets that are kept for it. */
  heldSizeBytes(connection: Connection): number;
  /** Closes it at once. */
  destroy(connection: Connection): void;
}

/** The open connections of one listener. */
export interface ConnectionTable<Connection> {
  /** Closes what is in the way of one more connection from this client: its own if it has its share, otherwise one of the largest client. */
  makeRoomFor(client: ClientKey): void;
  /** Adds a connection and counts it as open. */
  add(connection: Connection): void;
  /** A query has come on it: its idle time starts again. */
  touch(connection: Connection): void;
  /** It has ended. Does nothing if it was removed before. */
  remove(connection: Connection): void;
  /** Closes a connection of the client with the most: the process is out of descriptors. Returns whether there was one. */
  giveOneBack(): boolean;
  /** If too much is kept for all connections together, closes the one for which the most is kept. */
  freeMemory(): void;
  /** Closes those that have been idle for too long. */
  sweep(): void;
  /** All open connections, the longest idle first. */
  all(): readonly Connection[];
}

/** The bound on unread replies and unanswered queries of all connections: what fits into the container's memory beside a full cache. */
const maxHeldBytes = 4 * 1024 * 1024;

/** Creates an empty table, which counts in `counters`. A later change of `limits` takes effect. */
export function createConnectionTable<Connection extends TableEntry<Connection>>(
  limits: TableLimits,
  { counters, clock }: { readonly counters: ListenCounters; readonly clock: Clock },
  { isIdle, heldSizeBytes, destroy }: TableCalls<Connection>,
): ConnectionTable<Connection> {
  const list = createActivityList<Connection>();
  const countByClient = new Map<ClientKey, number>();

  function count(client: ClientKey, by: number): void {
    counters.openConnections += by;
    const sum = (countByClient.get(client) ?? 0) + by;
    if (sum === 0) countByClient.delete(client);
    else countByClient.set(client, sum);
  }

  /** Counts it only once: "close" also comes for a connection that was dropped. */
  function remove(connection: Connection): void {
    if (list.remove(connection)) count(connection.client, -1);
  }

  function drop(connection: Connection): void {
    remove(connection);
    destroy(connection);
  }

  /** Closes the client's connection that has been idle longest or, if none is idle, has been without a query longest. */
  function evictOldestOf(client: ClientKey | undefined): void {
    const ofClient = [...list.walk()].filter((connection) => connection.client === client);
    const oldest = ofClient.find((connection) => isIdle(connection)) ?? ofClient[0];
    if (oldest === undefined) return;
    counters.evictedConnections += 1;
    drop(oldest);
  }

  function clientWithMost(): ClientKey | undefined {
    let most = 0;
    let client: ClientKey | undefined;
    for (const [each, sum] of countByClient) {
      if (sum <= most) continue;
      most = sum;
      client = each;
    }
    return client;
  }

  return {
    makeRoomFor(client) {
      if ((countByClient.get(client) ?? 0) >= limits.maxConnectionsPerClient) evictOldestOf(client);
      if (list.size() >= limits.maxConnections) evictOldestOf(clientWithMost());
    },
    add(connection) {
      list.touch(connection, clock.nowMs());
      count(connection.client, 1);
    },
    touch(connection) {
      if (connection.isListed) list.touch(connection, clock.nowMs());
    },
    remove,
    giveOneBack() {
      const hasAny = list.size() > 0;
      evictOldestOf(clientWithMost());
      return hasAny;
    },
    freeMemory() {
      let heldBytes = 0;
      let mostBytes = 0;
      let most: Connection | undefined;
      for (const connection of list.walk()) {
        const sizeBytes = heldSizeBytes(connection);
        heldBytes += sizeBytes;
        if (most !== undefined && sizeBytes <= mostBytes) continue;
        most = connection;
        mostBytes = sizeBytes;
      }
      if (heldBytes <= maxHeldBytes || most === undefined) return;
      counters.overflowedConnections += 1;
      drop(most);
    },
    sweep() {
      const idleSinceMs = clock.nowMs() - limits.idleTimeoutMs;
      for (const connection of list.walk()) {
        if (connection.activeAtMs > idleSinceMs) break;
        if (isIdle(connection)) drop(connection);
      }
    },
    all: () => [...list.walk()],
  };
}
