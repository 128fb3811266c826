/*
 * The copy of its snapshot that Node.js keeps in memory: 5 MiB, read while the process begins. V8 would read them again to make a second
 * context (node:vm, a worker thread), which nothing in nodens does: on finding zeros it would end the process.
 *
 *     file       what Node.js adds · size (4, little-endian) · V8's part
 *     V8's part  number of contexts (4) · whether hashes may change (4) · check sums (4, 4) · V8's version, ended by zeros (64) · …
 */
import { closeSync, openSync, readSync } from "node:fs";
import { libc } from "./libc.ts";
import type { AddressRange, MemoryMapping } from "./memory-mappings.ts";

const pageBytes = 4096n;
const beforeVersionBytes = 16;
const signatureBytes = beforeVersionBytes + 64;
/** More than what Node.js adds in front. */
const headBytes = 1024;

/** How V8's part of a snapshot begins, which no other memory does, and its size in octets. */
export interface SnapshotHead {
  readonly signature: Buffer;
  readonly sizeBytes: number;
}

/** The head of the snapshot that this process began with; undefined if with none, or if its file cannot be read. */
export function snapshotHead(): SnapshotHead | undefined {
  const option = "--snapshot-blob=";
  const path = process.execArgv.find((argument) => argument.startsWith(option))?.slice(option.length);
  if (path === undefined) return undefined;
  try {
    const file = openSync(path, "r");
    try {
      const start = Buffer.alloc(headBytes);
      return readSnapshotHead(start.subarray(0, readSync(file, start)), process.versions.v8);
    } finally {
      closeSync(file);
    }
  } catch {
    return undefined;
  }
}

/** The head of V8's part, of the first octets of a snapshot's file; undefined if this version of V8 did not write it. */
export function readSnapshotHead(file: Buffer, v8Version: string): SnapshotHead | undefined {
  const start = file.indexOf(`${v8Version}\0`, 0, "latin1") - beforeVersionBytes;
  if (start < 4 || start + signatureBytes > file.length) return undefined;
  const signature = Buffer.from(file.subarray(start, start + signatureBytes));
  return { signature, sizeBytes: file.readUInt32LE(start - 4) };
}

/** The pages that hold nothing but the snapshot. None unless it is in exactly one place. */
export function snapshotPages(
  mappings: readonly MemoryMapping[],
  { signature, sizeBytes }: SnapshotHead,
): AddressRange[] {
  const pages = mappings
    // The C library has a mapping for what is so large, which the kernel may join with its neighbours.
    .filter(({ isWritable, isExecutable, isOfFile }) => isWritable && !isExecutable && !isOfFile)
    .filter(({ anonymousBytes }) => anonymousBytes >= sizeBytes)
    .flatMap((mapping) => {
      const at = libc?.memoryAt(mapping.address, mapping.sizeBytes).indexOf(signature) ?? -1;
      const isWhole = at !== -1 && BigInt(at + sizeBytes) <= mapping.sizeBytes;
      return isWhole ? [wholePages(mapping.address + BigInt(at), BigInt(sizeBytes))] : [];
    });
  return pages.length === 1 ? pages : [];
}

function wholePages(address: bigint, sizeBytes: bigint): AddressRange {
  const first = ((address + pageBytes - 1n) / pageBytes) * pageBytes;
  const end = ((address + sizeBytes) / pageBytes) * pageBytes;
  return { address: first, sizeBytes: end - first };
}
