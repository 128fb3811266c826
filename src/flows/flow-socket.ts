/*
 * What a flow is built on: whole messages go out and come in. Behind it are the system's sockets or, in tests and simulations, a network in
 * memory.
 */
import type { ServerAddress } from "../runtime/server-address.ts";
import type { LossReason } from "./loss-reason.ts";

/** What a socket tells its flow. Nothing is called before `OpenSocket` has returned or after `close`. */
export interface SocketEvents {
  /** The socket is connected, and messages sent earlier are on their way. */
  onOpen(): void;
  /** A message has arrived, whatever it is. It belongs to the receiver. */
  onMessage(message: Uint8Array): void;
  /** The socket is gone, or never came to be. Called once at most. */
  onEnd(reason: LossReason): void;
}

/** One 5-tuple to one server. */
export interface FlowSocket {
  /** Sends a message, or keeps it until connected. `onFailed` is called if only this message could not be sent and the socket goes on. */
  send(message: Uint8Array, onFailed: (reason: LossReason) => void): void;
  /** Closes the socket at once. Closing it again does nothing. */
  close(): void;
}

/** Opens a socket to a server. Never throws: `onEnd` reports what goes wrong. */
export type OpenSocket = (server: ServerAddress, events: SocketEvents) => FlowSocket;
