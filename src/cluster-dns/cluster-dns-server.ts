/*
 * The embedded cluster DNS: a stand-in for kube-dns on one address, over UDP and TCP. It serves TCP as CoreDNS does, one query at
 * a time per connection and in order, because that is what the upstream flows of nodens are made for.
 */
import { createSocket } from "node:dgram";
import type { Socket as UdpSocket } from "node:dgram";
import { once } from "node:events";
import { createServer, isIPv6 } from "node:net";
import type { Server, Socket } from "node:net";
import { Packet } from "dns2";
import { systemClock } from "../runtime/clock.ts";
import type { Clock } from "../runtime/clock.ts";
import { formatServerAddress } from "../runtime/server-address.ts";
import type { ServerAddress } from "../runtime/server-address.ts";
import { withLength } from "../runtime/ask-once.ts";
import { createClusterZone } from "./cluster-zone.ts";
import type { ClusterZone, ZoneAnswer } from "./cluster-zone.ts";
import { composeFault, composeReply, emptyReply, parseQuery } from "./dns-message.ts";
import type { Protocol, Query, Reply } from "./dns-message.ts";
import { createOutsideNames } from "./outside-names.ts";
import type { OutsideSource } from "./outside-names.ts";
import { readZoneFile } from "./zone-file.ts";

/** What the embedded cluster DNS serves, and where. */
export interface ClusterDnsOptions {
  /** Where to listen. Port 0 takes any port that is free for UDP and TCP. */
  readonly address: ServerAddress;
  /** The zone; by default the example zone. It may be changed while it is served. */
  readonly zone?: ClusterZone;
  /** Who answers for all other names; by default "auto". */
  readonly outside?: OutsideSource;
  /** Addresses besides its own that lead back here, such as those that nodens listens on. They are never asked as resolvers. */
  readonly ownAddresses?: readonly ServerAddress[];
  readonly clock?: Clock;
  /** Called for every query that can be read, before it is answered. */
  readonly onQuery?: (info: { name: string; type: number; protocol: Protocol }) => void;
}

/** A running embedded cluster DNS. */
export interface ClusterDns {
  /** Where it listens, with the real port. */
  readonly address: ServerAddress;
  /** The zone that it serves. */
  readonly zone: ClusterZone;
  /** How many readable queries have come since the start. */
  readonly queryCount: number;
  /** Closes sockets and connections; queries that are being answered get no reply. Calling it again does nothing. */
  close(): Promise<void>;
}

/** CoreDNS's own timeouts: for the first query of a connection, and for every later one. */
const firstQueryTimeoutMs = 3_000;
const idleTimeoutMs = 10_000;
const mostConnections = 1_000;
const shortestMessageBytes = 12;

/** Starts serving; resolves when both sockets are bound. Rejects with an Error that names the address if they cannot be. */
export async function startClusterDns(options: ClusterDnsOptions): Promise<ClusterDns> {
  const zone = options.zone ?? createClusterZone(readZoneFile());
  const clock = options.clock ?? systemClock;
  const { udp, tcp, address } = await bindBoth(options.address);
  const outside = createOutsideNames({
    source: options.outside ?? "auto",
    table: zone.outsideTable,
    ownAddresses: [address, ...(options.ownAddresses ?? [])],
    clock,
  });
  const connections = new Set<Socket>();
  let queryCount = 0;
  let isOpen = true;

  async function reply(bytes: Buffer, protocol: Protocol): Promise<Buffer | undefined> {
    const query = parseQuery(bytes);
    if ("fault" in query) return composeFault(bytes, query);
    queryCount += 1;
    options.onQuery?.({ name: query.name, type: query.type, protocol });
    try {
      return await answer(query, protocol);
    } catch {
      return composeReply(query, emptyReply(Packet.RCODE.SERVFAIL), protocol);
    }
  }

  async function answer(query: Query, protocol: Protocol): Promise<Buffer> {
    if (query.edns !== undefined && query.edns.version !== 0) {
      return composeReply(query, emptyReply(Packet.RCODE.BADVERS), protocol);
    }
    if (query.class !== Packet.CLASS.IN) return composeReply(query, emptyReply(Packet.RCODE.REFUSED), protocol);
    const fromZone = zone.answer(query);
    if (fromZone === undefined) return outside.answer(query, protocol);
    return composeReply(query, await completed(fromZone, query.type, protocol), protocol);
  }

  /** Adds the records of an outside name after the CNAME that leads to it. */
  async function completed(fromZone: ZoneAnswer, type: number, protocol: Protocol): Promise<Reply> {
    if (fromZone.outside === undefined) return fromZone;
    const { target, otherwise } = fromZone.outside;
    const records = await outside.lookUp({ name: target, type }, protocol);
    return records === undefined ? otherwise : { ...fromZone, answers: [...fromZone.answers, ...records] };
  }

  udp.on("message", (message, client) => {
    void reply(message, "udp").then((bytes) => {
      if (bytes !== undefined && isOpen) udp.send(bytes, client.port, client.address, () => {});
    });
  });
  udp.on("error", () => {});

  tcp.maxConnections = mostConnections;
  tcp.on("connection", (connection) => {
    connections.add(connection);
    connection.on("error", () => {});
    connection.on("close", () => connections.delete(connection));
    void serveConnection(connection, clock, (bytes) => reply(bytes, "tcp"));
  });

  return {
    address,
    zone,
    get queryCount() {
      return queryCount;
    },
    async close() {
      if (!isOpen) return;
      isOpen = false;
      outside.close();
      const closed = [once(udp, "close"), once(tcp, "close")];
      udp.close();
      tcp.close();
      for (const connection of connections) connection.destroy();
      await Promise.all(closed);
    },
  };
}

/**
 * Reads one query, answers it, and only then reads the next. Nothing is read in the meantime, so a client that does not read its
 * answers stalls its own connection. The client may close its side after its last query; every query that it sent is still answered.
 */
async function serveConnection(
  connection: Socket,
  clock: Clock,
  reply: (bytes: Buffer) => Promise<Buffer | undefined>,
): Promise<void> {
  let received = Buffer.alloc(0);
  let cancelTimeout = clock.after(firstQueryTimeoutMs, () => connection.destroy());
  try {
    for await (const chunk of connection.iterator({ destroyOnReturn: false })) {
      received = Buffer.concat([received, chunk as Buffer]);
      for (let length = frameLength(received); length !== undefined; length = frameLength(received)) {
        cancelTimeout();
        if (length < shortestMessageBytes) return;
        const bytes = await reply(received.subarray(2, 2 + length));
        received = received.subarray(2 + length);
        if (bytes !== undefined) await write(connection, withLength(bytes));
        cancelTimeout = clock.after(idleTimeoutMs, () => connection.destroy());
      }
    }
  } catch {
    // The client reset the connection, or it ran into a timeout.
  } finally {
    cancelTimeout();
    connection.destroySoon();
  }
}

/** The length of the first message in `received`, once all of it is there (RFC 1035 §4.2.2). */
function frameLength(received: Buffer): number | undefined {
  if (received.length < 2) return undefined;
  const length = received.readUInt16BE(0);
  return received.length < 2 + length ? undefined : length;
}

/** Resolves when the kernel has taken the bytes. */
function write(connection: Socket, bytes: Buffer): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  connection.write(bytes, (error) => (error == null ? resolve() : reject(error)));
  return promise;
}

interface BoundSockets {
  readonly udp: UdpSocket;
  readonly tcp: Server;
  readonly address: ServerAddress;
}

/** Binds TCP, then UDP to the same port. With port 0 it tries other ports if UDP's is in use. Rejects with an Error otherwise. */
async function bindBoth(address: ServerAddress): Promise<BoundSockets> {
  for (let attempt = 1; ; attempt += 1) {
    const tcp = createServer({ allowHalfOpen: true });
    const udp = createSocket(isIPv6(address.host) ? "udp6" : "udp4");
    try {
      tcp.listen(address.port, address.host);
      await once(tcp, "listening");
      const bound = tcp.address();
      const port = typeof bound === "object" && bound !== null ? bound.port : address.port;
      udp.bind(port, address.host);
      await once(udp, "listening");
      return { udp, tcp, address: { host: address.host, port } };
    } catch (cause) {
      tcp.close();
      udp.close();
      if (address.port === 0 && attempt < 10) continue;
      throw new Error(`the embedded cluster DNS cannot listen on ${formatServerAddress(address)}`, { cause });
    }
  }
}
