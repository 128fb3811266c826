/*
 * Where the admin server is that a command asks.
 */
import { defaultAdminAddress } from "../settings/command-defaults.ts";
import { parseServerAddress, type ServerAddress, type UnixSocketPath } from "../runtime/server-address.ts";

const defaultPort = parseServerAddress(defaultAdminAddress)?.port;

/** What to say of a text that is no such place. A line without line ending. */
export function wrongPlaceText(against: string): string {
  return `'${against}' is not an admin address: it must be an IP address and a port, as in ${defaultAdminAddress}, or the path of the Unix socket admin.sock`;
}

/** Reads "ADDR:PORT", "ADDR", for which "localhost" stands as well, or the path of a Unix socket, which has a slash; undefined for anything else. */
export function adminPlaceFrom(against: string): ServerAddress | UnixSocketPath | undefined {
  if (against.includes("/")) return { path: against };
  const address = parseServerAddress(against.replace(/^localhost(?=:|$)/i, "127.0.0.1"), defaultPort);
  return address === undefined || address.port === 0 ? undefined : address;
}
