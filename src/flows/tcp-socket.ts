/*
 * A TCP connection that carries whole messages (RFC 1035 §4.2.2). It is always read, also when nobody waits: a server without a
 * write deadline would block on us.
 */
import { connect } from "node:net";
import type { ServerAddress } from "../runtime/server-address.ts";
import { createFrameReader, frameMessage } from "../wire/framing.ts";
import type { FlowSocket, SocketEvents } from "./flow-socket.ts";
import { type LossReason, lossReasonOf } from "./loss-reason.ts";

/** Opens a connection. */
export function openTcpSocket(server: ServerAddress, events: SocketEvents): FlowSocket {
  const frames = createFrameReader();
  const socket = connect({ host: server.host, port: server.port, noDelay: true, keepAlive: true });
  let isClosed = false;

  socket.on("connect", () => events.onOpen());
  socket.on("data", (chunk: Buffer) => {
    frames.push(chunk, (message) => {
      // The message is the reader's; what a reply is made of must last.
      events.onMessage(new Uint8Array(message));
      return !isClosed;
    });
  });
  socket.on("error", (error) => end(lossReasonOf(error)));
  socket.on("end", () => end("closed"));
  socket.on("close", () => end("closed"));

  function end(reason: LossReason): void {
    if (isClosed) return;
    close();
    events.onEnd(reason);
  }

  function close(): void {
    isClosed = true;
    socket.destroy();
  }

  return {
    send(message) {
      socket.write(frameMessage(message, message.length));
    },
    close,
  };
}
