/*
 * Where the admin server is that a command asks.
 */
import { defaultAdminAddress } from "../settings/command-defaults.ts";
import { parseServerAddress, type ServerAddress, type UnixSocketPath } from "../runtime/server-address.ts";

const defaultPort = parseServerAddress(defaultAdminAddress)?.port;

/** Reads "ADDR:PORT", "ADDR", or the path of a Unix socket, which has a slash; undefined for anything else. */
export function adminPlaceFrom(against: string): ServerAddress | UnixSocketPath | undefined {
  if (against.includes("/")) return { path: against };
  const address = parseServerAddress(against, defaultPort);
  return address === undefined || address.port === 0 ? undefined : address;
}
