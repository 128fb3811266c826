/*
 * Clients that send exactly these octets and return exactly what came back.
 */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { concat, u16 } from "./messages.ts";

/** Sends one datagram from a socket of its own. The first reply, or undefined when none came within `waitMs`. */
export async function askUdp(
  port: number,
  packet: Uint8Array,
  waitMs = 3000,
  host = "127.0.0.1",
): Promise<Uint8Array | undefined> {
  const socket = createSocket(host.includes(":") ? "udp6" : "udp4");
  try {
    socket.connect(port, host);
    await once(socket, "connect");
    const reply = once(socket, "message", { signal: AbortSignal.timeout(waitMs) });
    socket.send(packet);
    const [message] = (await reply) as [Buffer];
    return new Uint8Array(message);
  } catch {
    return undefined;
  } finally {
    socket.close();
  }
}

/** Sends messages on one TCP connection, in one write, and returns the replies in order of arrival until `count` came. */
export async function askTcp(
  port: number,
  packets: readonly Uint8Array[],
  count = packets.length,
  waitMs = 3000,
): Promise<Uint8Array[]> {
  const client = await openTcp(port);
  try {
    client.socket.write(concat(packets.flatMap((packet) => [u16(packet.length), packet])));
    return await client.read(count, waitMs);
  } finally {
    client.socket.destroy();
  }
}

/** A TCP connection whose messages are read one by one. */
export interface TcpClient {
  readonly socket: Socket;
  /** Whether the other side has ended or reset the connection. */
  isEnded(): boolean;
  /** The next `count` messages, or those that came until the connection ended or `waitMs` passed. */
  read(count: number, waitMs?: number): Promise<Uint8Array[]>;
}

/** Connects to 127.0.0.1. */
export async function openTcp(port: number, host = "127.0.0.1"): Promise<TcpClient> {
  const socket = connect({ port, host, noDelay: true, allowHalfOpen: true });
  await once(socket, "connect");
  const messages: Uint8Array[] = [];
  let pending = new Uint8Array(0);
  let hasEnded = false;
  let wake = () => {};
  socket.on("error", () => {});
  for (const event of ["end", "close"]) {
    socket.on(event, () => {
      hasEnded = true;
      wake();
    });
  }
  socket.on("data", (chunk: Buffer) => {
    pending = new Uint8Array(concat([pending, chunk]));
    while (pending.length >= 2) {
      const size = ((pending[0] as number) << 8) | (pending[1] as number);
      if (pending.length < 2 + size) break;
      messages.push(pending.slice(2, 2 + size));
      pending = pending.slice(2 + size);
    }
    wake();
  });
  return {
    socket,
    isEnded: () => hasEnded,
    async read(count, waitMs = 3000) {
      const giveUpAt = performance.now() + waitMs;
      while (messages.length < count && !hasEnded && performance.now() < giveUpAt) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, giveUpAt - performance.now());
          wake = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
      return messages.splice(0, count);
    },
  };
}
