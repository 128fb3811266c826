/*
 * The transports towards a server, as data. One more (DNS over TLS) is a row here and the file that opens its socket; whatever
 * else has to know of it - counters, limits, settings - is a record over `Transport`, and the compiler points at it.
 */
import type { OpenSocket } from "../flows/flow-socket.ts";
import { openTcpSocket } from "../flows/tcp-socket.ts";
import { openUdpSocket } from "../flows/udp-socket.ts";

/** A transport towards a server. */
export type Transport = "udp" | "tcp";

interface TransportRow {
  /** For people. */
  readonly label: string;
  /** Over what a server is asked where this one does not work, or its replies cannot be trusted. */
  readonly other: Transport;
  /** Whether replies may be cut to fit: only then TC, or a cut reply, asks for `other`. */
  readonly mayTruncate: boolean;
  /**
   * Whether a server may answer a flow's questions one after the other, as CoreDNS does on a connection: a slow one then holds up
   * those behind it.
   */
  readonly isInOrder: boolean;
  /** Whether the kernel sends again what is lost. */
  readonly isRepaired: boolean;
  readonly openSocket: OpenSocket;
}

/** Every transport. */
export const transports: Readonly<Record<Transport, TransportRow>> = {
  udp: {
    label: "UDP",
    other: "tcp",
    mayTruncate: true,
    isInOrder: false,
    isRepaired: false,
    openSocket: openUdpSocket,
  },
  tcp: { label: "TCP", other: "udp", mayTruncate: false, isInOrder: true, isRepaired: true, openSocket: openTcpSocket },
};

/** Their names, as in settings and labels. */
export const transportNames = Object.keys(transports) as Transport[];

/** A value for each transport. */
export function perTransport<Value>(valueOf: (transport: Transport) => Value): Record<Transport, Value> {
  return Object.fromEntries(transportNames.map((name) => [name, valueOf(name)])) as Record<Transport, Value>;
}

/** The sockets of this machine. */
export const systemSockets: Readonly<Record<Transport, OpenSocket>> = perTransport(
  (name) => transports[name].openSocket,
);
