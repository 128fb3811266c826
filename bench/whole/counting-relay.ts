/*
 * Stands in front of a DNS server and passes everything on, over UDP and TCP, in both directions, and tells of every query.
 */
import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { readMessage } from "../../test/support/messages/messages.ts";

/** Where something listens. */
interface Place {
  readonly host: string;
  readonly port: number;
}

/** A running relay. */
export interface CountingRelay {
  close(): Promise<void>;
}

/** Starts one at `at`, in front of `server`. `onQuery` is told of each query before it is passed on. */
export async function startCountingRelay(
  at: Place,
  server: Place,
  onQuery: (query: { readonly name: string; readonly type: number }) => void,
): Promise<CountingRelay> {
  const udp = createSocket("udp4");
  udp.bind(at.port, at.host);
  await once(udp, "listening");
  /** One socket towards the server for each of the clients', so that replies find their way back. */
  const flows = new Map<string, UdpSocket>();
  udp.on("message", (message, client) => {
    note(message);
    const key = `${client.address}:${client.port}`;
    const known = flows.get(key);
    if (known !== undefined) {
      known.send(message, server.port, server.host);
      return;
    }
    const flow = createSocket("udp4");
    flows.set(key, flow);
    flow.on("error", () => {});
    flow.on("message", (reply) => udp.send(reply, client.port, client.address));
    flow.send(message, server.port, server.host);
  });

  const connections = new Set<Socket>();
  const tcp = createServer((client) => {
    const behind = connect({ ...server, noDelay: true });
    for (const side of [client, behind]) {
      connections.add(side);
      side.on("error", () => {});
      side.on("close", () => {
        connections.delete(side);
        client.destroy();
        behind.destroy();
      });
    }
    const read = createFrameReader(note);
    client.on("data", (chunk: Buffer) => {
      read(chunk);
      behind.write(chunk);
    });
    behind.on("data", (chunk: Buffer) => client.write(chunk));
  });
  tcp.listen(at.port, at.host);
  await once(tcp, "listening");

  function note(message: Uint8Array): void {
    const [question] = readMessage(message).questions;
    if (question !== undefined) onQuery(question);
  }

  return {
    async close() {
      for (const connection of connections) connection.destroy();
      for (const flow of flows.values()) flow.close();
      udp.close();
      tcp.close();
      await once(tcp, "close");
    },
  };
}

/** Cuts a TCP stream into messages (RFC 1035 §4.2.2). */
function createFrameReader(onMessage: (message: Uint8Array) => void): (chunk: Buffer) => void {
  let pending = Buffer.alloc(0);
  return (chunk) => {
    pending = Buffer.concat([pending, chunk]);
    while (pending.length >= 2 && pending.length >= 2 + pending.readUInt16BE(0)) {
      const end = 2 + pending.readUInt16BE(0);
      onMessage(pending.subarray(2, end));
      pending = pending.subarray(end);
    }
  };
}
