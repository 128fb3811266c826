/*
 * The transports towards a server, as data. One more (DNS over TLS) is a row here and the file that it names; whatever else has
 * to know of it - counters, limits, settings - is a record over `Transport`, and the compiler points at it.
 */
import type { Clock } from "../runtime/clock.ts";
import type { ServerAddress } from "../runtime/server-address.ts";
import type { Attempt, Cancel } from "./flow.ts";
import type { ServerCounters } from "./server-counters.ts";
import { createTcpPool, type TcpPoolLimits } from "./tcp-pool.ts";
import { createUdpPool, type UdpPoolLimits } from "./udp-pool.ts";

/** A transport towards a server. */
export type Transport = keyof TransportLimits;

/** What bounds each transport (settings: the group of `upstream` with the transport's name). */
export interface TransportLimits {
  readonly udp: UdpPoolLimits;
  readonly tcp: TcpPoolLimits;
}

/** The flows of one transport to one server. */
export interface Pool {
  /** Sends now, or as soon as a flow has room. */
  send(attempt: Attempt): Cancel;
  /** The attempt sent at `sentAtMs` got no answer in time. */
  suspect(sentAtMs: number): void;
  close(): void;
}

interface TransportRow {
  /** For people. */
  readonly label: string;
  /** Over what a question is asked again whose reply did not fit or cannot be trusted. */
  readonly fallback: Transport;
  /** Whether replies may be cut to fit: only then TC asks for another transport. */
  readonly mayTruncate: boolean;
  /** The flows to a server, none of them open. */
  createPool(server: ServerAddress, limits: TransportLimits, clock: Clock, counters: ServerCounters): Pool;
}

/** Every transport. */
export const transports: Readonly<Record<Transport, TransportRow>> = {
  udp: {
    label: "UDP",
    fallback: "tcp",
    mayTruncate: true,
    createPool: (server, { udp }, ...rest) => createUdpPool(server, udp, ...rest),
  },
  tcp: {
    label: "TCP",
    fallback: "tcp",
    mayTruncate: false,
    createPool: (server, { tcp }, ...rest) => createTcpPool(server, tcp, ...rest),
  },
};

/** Their names, as in settings and labels. */
export const transportNames = Object.keys(transports) as Transport[];

/** A value for each transport. */
export function perTransport<Value>(valueOf: (transport: Transport) => Value): Record<Transport, Value> {
  return Object.fromEntries(transportNames.map((name) => [name, valueOf(name)])) as Record<Transport, Value>;
}
