/*
 * A relay on loopback, UDP and TCP, that passes everything on to another port and counts it: a way from a program back to itself
 * that its settings cannot see.
 */
import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { findFreePort } from "./free-port.ts";

/** A running relay. */
export interface Relay {
  /** "127.0.0.1:PORT". */
  readonly address: string;
  /** Datagrams and pieces of TCP streams that were passed on so far, both ways; with a label, how often that begins one in them. */
  count(label?: string): number;
  /** Passes on to another port from now on; what goes through connections that are open ends. */
  leadTo(port: number): void;
  close(): Promise<void>;
}

/** Starts a relay to a port of 127.0.0.1. */
export async function startRelay(target: number): Promise<Relay> {
  const port = await findFreePort();
  const front = createSocket("udp4").bind(port, "127.0.0.1");
  await once(front, "listening");
  const server = createServer().listen(port, "127.0.0.1");
  await once(server, "listening");
  const behind = new Map<number, UdpSocket>();
  const sockets = new Set<Socket>();
  let to = target;
  const passed: Buffer[] = [];

  front.on("message", (packet, peer) => {
    passed.push(packet);
    let socket = behind.get(peer.port);
    if (socket === undefined) {
      socket = createSocket("udp4");
      socket.on("error", () => {});
      socket.on("message", (reply) => {
        passed.push(reply);
        front.send(reply, peer.port, peer.address);
      });
      behind.set(peer.port, socket);
    }
    socket.send(packet, to, "127.0.0.1");
  });
  front.on("error", () => {});

  server.on("connection", (near) => {
    const far = connect({ port: to, host: "127.0.0.1", noDelay: true });
    for (const [from, into] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.on("data", (chunk: Buffer) => {
        passed.push(chunk);
        into.write(chunk);
      });
      from.on("error", () => {});
      from.on("close", () => {
        sockets.delete(from);
        into.destroy();
      });
    }
  });

  function dropAll(): void {
    for (const socket of sockets) socket.destroy();
    for (const socket of behind.values()) socket.close();
    behind.clear();
  }

  return {
    address: `127.0.0.1:${port}`,
    count: (label) =>
      label === undefined ? passed.length : Buffer.concat(passed).toString("latin1").split(label).length - 1,
    leadTo(next) {
      to = next;
      dropAll();
    },
    async close() {
      dropAll();
      await Promise.all([
        new Promise<void>((resolve) => server.close(() => resolve())),
        new Promise<void>((resolve) => front.close(() => resolve())),
      ]);
    },
  };
}
