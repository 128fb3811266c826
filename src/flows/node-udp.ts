/*
 * A connected UDP socket of Node's own, for where the C library cannot be called.
 */
import { createSocket } from "node:dgram";
import { isIPv6 } from "node:net";
import type { ServerAddress } from "../runtime/server-address.ts";
import type { FlowSocket, SocketEvents } from "./flow-socket.ts";
import { isOfOneDatagram, type LossReason, lossReasonOf } from "./loss-reason.ts";

/** Opens and connects a socket. Never throws. Messages sent before it is connected are kept until then. */
export function openNodeUdp(server: ServerAddress, events: SocketEvents): FlowSocket {
  const socket = createSocket(isIPv6(server.host) ? "udp6" : "udp4");
  let unsent: (() => void)[] | undefined = [];
  let isClosed = false;

  socket.on("error", (error) => end(lossReasonOf(error)));
  socket.on("message", (message) => events.onMessage(message));
  socket.on("connect", () => {
    const waiting = unsent ?? [];
    unsent = undefined;
    events.onOpen();
    for (const send of waiting) send();
  });
  socket.connect(server.port, server.host);

  function end(reason: LossReason): void {
    if (isClosed) return;
    close();
    events.onEnd(reason);
  }

  function close(): void {
    if (isClosed) return;
    isClosed = true;
    socket.close();
  }

  return {
    send(message, onFailed) {
      const write = () => {
        if (isClosed) return;
        socket.send(message, (error) => {
          if (error === null || isClosed) return;
          const reason = lossReasonOf(error);
          if (isOfOneDatagram(reason)) onFailed(reason);
          else end(reason);
        });
      };
      if (unsent === undefined) write();
      else unsent.push(write);
    },
    close,
  };
}
