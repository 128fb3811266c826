/*
 * A TCP connection of Node's own that carries whole messages (RFC 1035 §4.2.2), for where the C library cannot be called.
 */
import { connect } from "node:net";
import { systemClock } from "../runtime/clock.ts";
import type { ServerAddress } from "../runtime/server-address.ts";
import { createFrameReader, frameMessage } from "../wire/framing.ts";
import type { FlowSocket, SocketEvents } from "./flow-socket.ts";
import { type LossReason, lossReasonOf } from "./loss-reason.ts";

/** Opens a connection. Never throws. Each message that it hands out is a new array. */
export function openNodeTcp(server: ServerAddress, events: SocketEvents): FlowSocket {
  const frames = createFrameReader();
  const socket = connect({ host: server.host, port: server.port, noDelay: true, keepAlive: true });
  let isClosed = false;

  socket.on("connect", () => events.onOpen());
  socket.on("data", (chunk: Buffer) => {
    frames.push(chunk, (message) => {
      // The message belongs to the frame reader, which will reuse it; a reply has to last.
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
      // All that is asked in one turn of the loop leaves in one call.
      if (socket.writableCorked === 0) {
        socket.cork();
        systemClock.afterIo(() => socket.uncork());
      }
      socket.write(frameMessage(message, message.length));
    },
    close,
  };
}
