/*
 * The transports to a server, as data. A new one (DNS over TLS) is a row here and a file that opens its socket; everything else that has to
 * know about it (counters, limits, settings) is a record over `Transport`, and the compiler points it out.
 */
import type { OpenSocket } from "../flows/flow-socket.ts";
import { openTcpSocket, openUdpSocket } from "../flows/system-sockets.ts";
import type { Transport } from "../wire/transport.ts";

interface TransportRow {
  /** The name for people. */
  readonly label: string;
  /** The transport to use if this one does not work, or if its replies cannot be trusted. */
  readonly other: Transport;
  /** Whether replies may be truncated to fit. Only then does TC, or a reply that was cut off, call for `other`. */
  readonly mayTruncate: boolean;
  /**
   * Whether a server may answer a flow's questions one after the other, as CoreDNS does on a connection, so that a slow one holds up those
   * behind it.
   */
  readonly isInOrder: boolean;
  /** Whether the kernel sends lost packets again. */
  readonly isRepaired: boolean;
  readonly openSocket: OpenSocket;
}

/** Every transport, by name. */
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

/** The names of the transports, as in settings and metric labels. */
export const transportNames = Object.keys(transports) as Transport[];

/** The transport whose losses the kernel does not repair: this one or the other. There a lost packet holds up no others. */
export function unrepaired(transport: Transport): Transport {
  return transports[transport].isRepaired ? transports[transport].other : transport;
}

/** A new record with a value for each transport. */
export function perTransport<Value>(valueOf: (transport: Transport) => Value): Record<Transport, Value> {
  return Object.fromEntries(transportNames.map((name) => [name, valueOf(name)])) as Record<Transport, Value>;
}

/** Opens the system's sockets. */
export const systemSockets: Readonly<Record<Transport, OpenSocket>> = perTransport(
  (name) => transports[name].openSocket,
);
