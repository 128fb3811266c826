/*
 * Thousands of questions to one server, so many at a time: each worker has a socket or a connection of its own and asks the
 * next question when the last is answered.
 */
import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { once } from "node:events";
import { openTcp, type TcpClient } from "./ask.ts";
import { concat, u16 } from "./messages.ts";

/** How to ask. */
export interface AskManyOptions {
  /** Questions at once; 1 unless said. */
  readonly concurrency?: number;
  /** How long one question may take; 6 s unless said. */
  readonly waitMs?: number;
}

/**
 * Asks every packet, with an ID of its own in place of what it has, and returns the replies in the order of the packets:
 * undefined where none came in time. Over TCP a question whose connection was ended is asked once more on a new one.
 */
export async function askAll(
  server: { readonly host: string; readonly port: number },
  protocol: "udp" | "tcp",
  packets: readonly Uint8Array[],
  { concurrency = 1, waitMs = 6000 }: AskManyOptions = {},
): Promise<(Uint8Array | undefined)[]> {
  const replies: (Uint8Array | undefined)[] = Array.from({ length: packets.length });
  let next = 0;

  async function work(): Promise<void> {
    const asker = protocol === "udp" ? await createUdpAsker(server) : createTcpAsker(server);
    try {
      for (let index = next++; index < packets.length; index = next++) {
        replies[index] = await asker.ask(withId(packets[index] as Uint8Array, index & 0xffff), waitMs);
      }
    } finally {
      asker.close();
    }
  }

  await Promise.all(Array.from({ length: Math.min(concurrency, packets.length) }, work));
  return replies;
}

interface Asker {
  ask(packet: Uint8Array, waitMs: number): Promise<Uint8Array | undefined>;
  close(): void;
}

async function createUdpAsker({ host, port }: { host: string; port: number }): Promise<Asker> {
  const socket: UdpSocket = createSocket("udp4");
  socket.connect(port, host);
  await once(socket, "connect");
  let onMessage = (_reply: Uint8Array | undefined) => {};
  socket.on("message", (message) => onMessage(new Uint8Array(message)));
  // Nobody listens there: the same to us as no reply.
  socket.on("error", () => onMessage(undefined));
  return {
    ask: (packet, waitMs) =>
      new Promise((resolve) => {
        const finish = (reply: Uint8Array | undefined) => {
          clearTimeout(timer);
          onMessage = () => {};
          resolve(reply);
        };
        const timer = setTimeout(() => finish(undefined), waitMs);
        onMessage = (reply) => {
          if (reply === undefined || hasSameId(reply, packet)) finish(reply);
        };
        socket.send(packet, (error) => {
          if (error !== null) onMessage(undefined);
        });
      }),
    close: () => void socket.close(),
  };
}

function createTcpAsker({ host, port }: { host: string; port: number }): Asker {
  let client: TcpClient | undefined;

  async function askOnce(packet: Uint8Array, waitMs: number): Promise<Uint8Array | undefined> {
    try {
      if (client === undefined || client.isEnded()) client = await openTcp(port, host);
      client.socket.write(concat([u16(packet.length), packet]));
      const [reply] = await client.read(1, waitMs);
      return reply !== undefined && hasSameId(reply, packet) ? reply : undefined;
    } catch {
      return undefined;
    }
  }

  return {
    async ask(packet, waitMs) {
      const reply = await askOnce(packet, waitMs);
      return reply === undefined && client?.isEnded() === true ? askOnce(packet, waitMs) : reply;
    },
    close: () => client?.socket.destroy(),
  };
}

function withId(packet: Uint8Array, id: number): Uint8Array {
  return concat([u16(id), packet.subarray(2)]);
}

function hasSameId(reply: Uint8Array, packet: Uint8Array): boolean {
  return reply[0] === packet[0] && reply[1] === packet[1];
}
