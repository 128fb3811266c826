/*
 * Datagrams that the kernel threw away because a socket's receive queue was full: queries that nodens never saw. Where the socket itself
 * does not tell, /proc/net/udp and udp6 do, which list all sockets of the node and take it a millisecond to write:
 *
 *     sl   local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
 *     123: 0A14FEA9:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 23456 2 0000      17
 */
import { readFileSync } from "node:fs";
import { endianness } from "node:os";
import { addressOctets, type ServerAddress } from "../runtime/server-address.ts";

/** Reads a file of the system; undefined where there is none. */
export type ReadSystemFile = (path: string) => string | undefined;

const column = { localAddress: 1, inode: 9, drops: 12 } as const;

/** A socket whose drops are counted. */
export interface CountedSocket {
  readonly address: ServerAddress;
  /** How many there were, which never falls; undefined if the socket does not tell. */
  receiveDrops(): number | undefined;
}

/**
 * Creates a reader of the total for the UDP sockets that `sockets` returns. The total never falls: what a socket dropped stays counted when
 * it closes. Those that do not tell are 0 on systems without /proc.
 */
export function countReceiveDrops(
  sockets: () => readonly CountedSocket[],
  readFile: ReadSystemFile = readSystemFile,
): () => number {
  const readListed = countListedDrops(readFile);
  return () => {
    let told = 0;
    const silent: ServerAddress[] = [];
    for (const socket of sockets()) {
      const drops = socket.receiveDrops();
      if (drops === undefined) silent.push(socket.address);
      told += drops ?? 0;
    }
    return told + readListed(silent);
  };
}

function countListedDrops(readFile: ReadSystemFile): (addresses: readonly ServerAddress[]) => number {
  let dropsByInode = new Map<string, number>();
  let total = 0;
  return (addresses) => {
    if (addresses.length === 0) return total;
    const ours = new Set(addresses.map((address) => kernelAddress(address)));
    const found = new Map<string, number>();
    for (const line of ["/proc/net/udp", "/proc/net/udp6"].flatMap((path) => readFile(path)?.split("\n") ?? [])) {
      const fields = line.trim().split(/\s+/);
      if (!ours.has(fields[column.localAddress] ?? "")) continue;
      const inode = fields[column.inode] ?? "";
      const drops = Number(fields[column.drops] ?? 0);
      total += Math.max(0, drops - (dropsByInode.get(inode) ?? 0));
      found.set(inode, drops);
    }
    dropsByInode = found;
    return total;
  };
}

/** An address as the kernel prints it: each 32 bits in the machine's own order, "0100007F:0035" for 127.0.0.1:53 on most. */
export function kernelAddress({ host, port }: ServerAddress, order: "LE" | "BE" = endianness()): string {
  const octets = addressOctets(host);
  const words = Array.from({ length: octets.length / 4 }, (_, word) => octets.slice(word * 4, word * 4 + 4));
  const ordered = order === "LE" ? words.map((word) => word.toReversed()) : words;
  return `${ordered
    .flat()
    .map((octet) => hex(octet, 2))
    .join("")}:${hex(port, 4)}`;
}

function hex(value: number, digits: number): string {
  return value.toString(16).toUpperCase().padStart(digits, "0");
}

/** Reads a file; undefined if it cannot be read. */
export function readSystemFile(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
