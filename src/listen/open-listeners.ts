/*
 * Opens every configured address for UDP and TCP on the same port: all of them, or none, with one clear reason.
 */
import { networkInterfaces } from "node:os";
import { isIPv6 } from "node:net";
import { formatServerAddress, type ServerAddress } from "../runtime/server-address.ts";
import type { Front } from "./front.ts";
import { listenTcp, type TcpListenLimits } from "./tcp-listener.ts";
import type { Listener } from "./listener.ts";
import { type BatchChoice, listenUdp } from "./udp-listener.ts";

/** An address that could not be opened. The message is for the person who chose it. */
export class ListenError extends Error {
  override readonly name = "ListenError";
  /** The system's code: EADDRINUSE, EACCES, EADDRNOTAVAIL … */
  readonly code: string;

  constructor(address: ServerAddress, protocol: "udp" | "tcp", cause: NodeJS.ErrnoException) {
    const code = cause.code ?? "unknown";
    super(`cannot listen on ${formatServerAddress(address)} (${protocol}): ${explain(code, cause.message)}`, { cause });
    this.code = code;
  }
}

/** How to listen (settings: listen). */
export interface ListenOptions {
  readonly tcp: TcpListenLimits;
  readonly batch: BatchChoice;
}

/** With port 0 the kernel picks a UDP port that may be taken for TCP: then another one is tried. */
const portAttempts = 20;

/**
 * Opens UDP and TCP on each address; a wildcard stands for all local addresses of its family. If one cannot be opened, closes what
 * was opened and rejects with a ListenError.
 */
export async function openListeners(
  addresses: readonly ServerAddress[],
  front: Front,
  { tcp, batch }: ListenOptions,
): Promise<Listener[]> {
  const opened: Listener[] = [];
  try {
    for (const address of addresses.flatMap(expandWildcard))
      opened.push(...(await openPair(address, front, { tcp, batch })));
    return opened;
  } catch (error) {
    await Promise.all(opened.map((listener) => listener.close()));
    throw error;
  }
}

/**
 * The local addresses that a wildcard stands for, without IPv6 link-local ones; any other address itself. A socket on the wildcard would
 * leave the source address of its replies to the routing table, and clients drop a reply that comes from another address.
 */
export function expandWildcard(address: ServerAddress): ServerAddress[] {
  if (address.host !== "0.0.0.0" && address.host !== "::") return [address];
  const family = isIPv6(address.host) ? "IPv6" : "IPv4";
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter((local) => local.family === family && !local.address.startsWith("fe80:"))
    .map((local) => ({ host: local.address, port: address.port }));
}

async function openPair(address: ServerAddress, front: Front, { tcp, batch }: ListenOptions): Promise<Listener[]> {
  for (let attempt = 1; ; attempt += 1) {
    const udp = await listenUdp(address, front, batch).catch((error: NodeJS.ErrnoException) => {
      throw new ListenError(address, "udp", error);
    });
    try {
      return [udp, await listenTcp(udp.address, front, tcp, batch)];
    } catch (error) {
      await udp.close();
      if (address.port !== 0 || attempt >= portAttempts) {
        throw new ListenError(address, "tcp", error as NodeJS.ErrnoException);
      }
    }
  }
}

function explain(code: string, message: string): string {
  switch (code) {
    case "EADDRINUSE":
      return "the address is in use by another program";
    case "EACCES":
      return "no permission; a port below 1024 needs root or the capability NET_BIND_SERVICE";
    case "EADDRNOTAVAIL":
      return "this machine has no such address";
    default:
      return message;
  }
}
