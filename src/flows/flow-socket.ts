/*
 * What a flow stands on: whole messages go out and come in. The sockets of the system are behind it, and in tests and simulations
 * a network in memory.
 */
import type { ServerAddress } from "../runtime/server-address.ts";
import type { LossReason } from "./loss-reason.ts";

/** What a socket tells its flow. Nothing is told before `OpenSocket` has returned, or after `close`. */
export interface SocketEvents {
  /** Connected. Messages sent before are on their way. */
  onOpen(): void;
  /** A message came, whatever it is. It belongs to the receiver. */
  onMessage(message: Uint8Array): void;
  /** The socket is gone, or never came to be. Told once. */
  onEnd(reason: LossReason): void;
}

/** One 5-tuple to one server. */
export interface FlowSocket {
  /** Sends a message, or keeps it until connected. `onFailed` is told when this one could not be sent and the socket goes on. */
  send(message: Uint8Array, onFailed: (reason: LossReason) => void): void;
  /** Closes it at once. Closing twice does nothing. */
  close(): void;
}

/** Opens a socket to a server. Never throws: what goes wrong is told by `onEnd`. */
export type OpenSocket = (server: ServerAddress, events: SocketEvents) => FlowSocket;
