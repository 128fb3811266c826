/* What sockets towards pods have in common, whatever their protocol. */
import type { ServerAddress } from "../runtime/server-address.ts";
import type { ListenCounters } from "./listen-counters.ts";

/** A socket that answers. */
export interface Listener {
  /** With the port that was really bound. */
  readonly address: ServerAddress;
  readonly protocol: "udp" | "tcp";
  readonly counters: ListenCounters;
  /** Whether another process of this user answers on the address too. */
  readonly isShared: boolean;
  /** How many datagrams or connections were taken from the kernel. */
  takenCount(): number;
  /** Lets new datagrams and connections go to other processes on the address. What the kernel queued for us still comes. */
  leave(): void;
  /** Takes no new queries; those that wait are still answered. */
  drain(): void;
  /** Closes the socket. What waits gets no reply. */
  close(): Promise<void>;
}
