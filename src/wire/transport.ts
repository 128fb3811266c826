/*
 * How messages travel (RFC 1035 §4.2).
 */

/** What carries messages to a server: datagrams, or a stream with a length before each. */
export type Transport = "udp" | "tcp";
