/*
 * The address of a socket as people write it: "10.96.0.10:53", "[fd00::a]:53".
 */
import { isIP } from "node:net";

/** An IP literal (without brackets) and a port from 0 to 65535. */
export interface ServerAddress {
  readonly host: string;
  readonly port: number;
}

/** Where a Unix socket is, in the file system. */
export interface UnixSocketPath {
  readonly path: string;
}

/**
 * Reads "ADDR:PORT", "[ADDR6]:PORT" or, if `defaultPort` is given, a bare address. Returns undefined for anything else,
 * including host names: a DNS server cannot be found by name before DNS works.
 */
export function parseServerAddress(text: string, defaultPort?: number): ServerAddress | undefined {
  if (isIP(text) !== 0) return defaultPort === undefined ? undefined : { host: text, port: defaultPort };
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(text);
  if (match === null) return undefined;
  const [, bracketed, plain, portText] = match;
  const host = bracketed ?? plain ?? "";
  if (isIP(host) !== (bracketed === undefined ? 4 : 6)) return undefined;
  const port = portText === undefined ? defaultPort : Number(portText);
  if (port === undefined || port > 65_535) return undefined;
  return { host, port };
}

/** Writes an address as "10.96.0.10:53" or "[fd00::a]:53": the form that parseServerAddress reads. */
export function formatServerAddress(address: ServerAddress): string {
  return isIP(address.host) === 6 ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

/** The 4 or 16 octets of an IP literal, in network order, without its zone ("%eth0"). Throws for any other text. */
export function addressOctets(host: string): number[] {
  if (isIP(host) === 4) return host.split(".").map(Number);
  const [bare = host] = host.split("%");
  // The URL parser gives every IPv6 literal one spelling (RFC 5952), in which "::" stands for zeros.
  const [head = "", tail] = new URL(`http://[${bare}]/`).hostname.slice(1, -1).split("::");
  const [before, after] = [head, tail ?? ""].map((part) => part.split(":").filter((group) => group !== ""));
  const given = [...(before ?? []), ...(after ?? [])].length;
  const groups = [...(before ?? []), ...Array<string>(8 - given).fill("0"), ...(after ?? [])];
  return groups.flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 0xff]);
}
