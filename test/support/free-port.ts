/* Ports for programs that must be told theirs before they start. */
import { once } from "node:events";
import { createServer } from "node:net";
import { createSocket } from "node:dgram";

/** A port that is free now over UDP and TCP on 127.0.0.1. Somebody else may take it before it is used: rare, not impossible. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const bound = server.address();
  const port = typeof bound === "object" && bound !== null ? bound.port : 0;
  const socket = createSocket("udp4");
  try {
    socket.bind(port, "127.0.0.1");
    await once(socket, "listening");
    return port;
  } catch {
    return await freePort();
  } finally {
    socket.close();
    server.close();
  }
}
