/* Clients' TCP connections as sockets of node:net, for where the C library cannot be called. */
import { createServer, isIPv6, type Server, type Socket } from "node:net";
import type { ServerAddress } from "../runtime/server-address.ts";
import { bindSharedSocket, type SharedSocket } from "../runtime/shared-socket.ts";
import { socketAddress } from "../runtime/socket-address.ts";
import {
  backlog,
  highWaterMarkBytes,
  type StreamCalls,
  type StreamEvents,
  type OpenStreamServer,
} from "./client-streams.ts";

const calls: StreamCalls<Socket> = {
  isOpen: (socket) => !socket.destroyed,
  write(socket, octets) {
    // A socket may keep them for long, and a small array of Buffer's pool would keep all of that.
    if (!socket.destroyed) socket.write(new Uint8Array(octets));
  },
  cork: (socket) => socket.cork(),
  uncork: (socket) => socket.uncork(),
  isFull: (socket) => socket.writableNeedDrain,
  unsentSizeBytes: (socket) => socket.writableLength,
  pause: (socket) => void socket.pause(),
  resume: (socket) => void socket.resume(),
  end(socket) {
    // When both sides have said all, closing is one call, and ending would be two and an event.
    if (socket.readableEnded && socket.writableLength === 0) socket.destroy();
    else socket.end();
  },
  destroy: (socket) => void socket.destroy(),
};

/** Binds `address` (the kernel picks a port for 0) and accepts by node:net. Rejects with the system's error. */
export const openNodeServer: OpenStreamServer<Socket> = async (address, _clock, events) => {
  const server = createServer({ allowHalfOpen: true, noDelay: true, highWaterMark: highWaterMarkBytes });
  const shared = address.port === 0 ? undefined : bindSharedSocket("tcp", address);
  const port = await listen(server, address, shared);
  server.on("connection", (socket) => accept(socket, events));
  server.on("error", () => void events.onWant());
  return {
    port,
    isShared: shared?.isShared ?? false,
    calls,
    leave: () => shared?.leave(),
    stop: () => void server.close(),
    close() {
      return new Promise<void>((resolve) => {
        // The callback also comes, with an error, if it was stopped before.
        server.close(() => resolve());
      });
    },
  };
};

function accept<Owner>(socket: Socket, events: StreamEvents<Socket, Owner>): void {
  const { remoteAddress: host, remotePort: port = 0 } = socket;
  // Without an address it has ended already.
  const owner = host === undefined ? undefined : events.onOpen(socket, socketAddress({ host, port }));
  if (owner === undefined) {
    socket.destroy();
    return;
  }
  socket.on("data", (chunk: Buffer) => events.onData(owner, chunk));
  socket.on("drain", () => events.onRoom(owner));
  socket.on("end", () => events.onEnd(owner));
  // Reset, broken pipe, timeout: the connection is gone, and "close" follows.
  socket.on("error", () => {});
  socket.on("close", () => events.onClose(owner));
}

function listen(server: Server, address: ServerAddress, shared: SharedSocket | undefined): Promise<number> {
  const { host, port } = address;
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    const place = shared === undefined ? { host, port, ipv6Only: isIPv6(host), exclusive: true } : { fd: shared.fd };
    server.listen({ ...place, backlog }, () => {
      server.off("error", reject);
      const bound = server.address();
      resolve(typeof bound === "object" && bound !== null ? bound.port : port);
    });
  });
}
