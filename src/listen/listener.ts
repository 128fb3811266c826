/* What sockets towards pods have in common, whatever their protocol. */
import type { ServerAddress } from "../runtime/server-address.ts";
import type { ListenCounters } from "./listen-counters.ts";

/** A bound socket that answers queries. */
export interface Listener {
  /** Where it listens, with the port that was actually bound. */
  readonly address: ServerAddress;
  readonly protocol: "udp" | "tcp";
  readonly counters: ListenCounters;
  /** Whether another process of this user was answering on the address when the socket was bound. */
  readonly isShared: boolean;
  /** How many datagrams or connections have been taken from the kernel. */
  takenCount(): number;
  /** How many datagrams the kernel threw away because the socket's queue was full; undefined if the socket does not tell. */
  receiveDrops(): number | undefined;
  /** Leaves new datagrams and connections to other processes on the address. What the kernel has already queued here still arrives. */
  leave(): void;
  /** Accepts no new queries; those that are waiting still get their answers. */
  drain(): void;
  /** Closes the socket and resolves when it is closed. What is still waiting gets no reply. */
  close(): Promise<void>;
}
