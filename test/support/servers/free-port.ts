/* Ports for programs that must be told theirs before they start. */
import { randomInt } from "node:crypto";
import { createSocket } from "node:dgram";
import type { EventEmitter } from "node:events";
import { createServer } from "node:net";

const host = "127.0.0.1";

/**
 * A port of 127.0.0.1 that is free over UDP and TCP, from below the range that systems take ports from by themselves: it
 * stays free until it is used, and a server that was stopped can come back to it.
 */
export async function findFreePort(): Promise<number> {
  for (;;) {
    const port = randomInt(10_000, 32_768);
    if ((await canListenTcp(port)) && (await canListenUdp(port))) return port;
  }
}

async function canListenTcp(port: number): Promise<boolean> {
  const server = createServer();
  const outcome = firstOf(server, "listening", "error");
  server.listen(port, host);
  const isFree = (await outcome) === "listening";
  server.close();
  return isFree;
}

async function canListenUdp(port: number): Promise<boolean> {
  const socket = createSocket("udp4");
  const outcome = firstOf(socket, "listening", "error");
  socket.bind(port, host);
  const isFree = (await outcome) === "listening";
  socket.close();
  return isFree;
}

function firstOf<Name extends string>(emitter: EventEmitter, ...names: Name[]): Promise<Name> {
  return new Promise((resolve) => {
    for (const name of names) emitter.once(name, () => resolve(name));
  });
}
