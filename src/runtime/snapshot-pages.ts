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

/** The last octets of V8's part. */
const tailBytes = 64;

/** How V8's part of a snapshot begins and ends, by which it is told from copies of its beginning, and its size in octets. */
export interface SnapshotMarks {
  readonly signature: Buffer;
  readonly tail: Buffer;
  readonly sizeBytes: number;
}

/** Where V8's part begins in a snapshot's file, and how. */
interface SnapshotHead extends Omit<SnapshotMarks, "tail"> {
  readonly offset: number;
}

/** The marks of the snapshot that this process began with; undefined if with none, or if its file cannot be read. */
export function snapshotMarks(): SnapshotMarks | undefined {
  const option = "--snapshot-blob=";
  const path = process.execArgv.find((argument) => argument.startsWith(option))?.slice(option.length);
  if (path === undefined) return undefined;
  try {
    const file = openSync(path, "r");
    try {
      const start = Buffer.alloc(headBytes);
      const head = readSnapshotHead(start.subarray(0, readSync(file, start)), process.versions.v8);
      const tail = Buffer.alloc(tailBytes);
      const isWhole =
        head && readSync(file, tail, 0, tailBytes, head.offset + head.sizeBytes - tailBytes) === tailBytes;
      return isWhole ? { signature: head.signature, sizeBytes: head.sizeBytes, tail } : undefined;
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
  return { signature, sizeBytes: file.readUInt32LE(start - 4), offset: start };
}

/** The pages that hold nothing but the snapshot. None unless it is in exactly one place. */
export function snapshotPages(
  mappings: readonly MemoryMapping[],
  { signature, tail, sizeBytes }: SnapshotMarks,
): AddressRange[] {
  const pages = mappings
    // The C library has a mapping for what is so large, which the kernel may join with its neighbours.
    .filter(({ isWritable, isExecutable, isOfFile }) => isWritable && !isExecutable && !isOfFile)
    .filter(({ anonymousBytes }) => anonymousBytes >= sizeBytes)
    .flatMap((mapping) => {
      const memory = libc?.memoryAt(mapping.address, mapping.sizeBytes);
      const at = memory === undefined ? undefined : placeIn(memory, { signature, tail, sizeBytes });
      return at === undefined ? [] : [wholePages(mapping.address + BigInt(at), BigInt(sizeBytes))];
    });
  return pages.length === 1 ? pages : [];
}

/** Where the whole of it begins in the memory; undefined if it is not there. What was read of its file to find it begins in the same way. */
function placeIn(memory: Buffer, { signature, tail, sizeBytes }: SnapshotMarks): number | undefined {
  for (let at = memory.indexOf(signature); at !== -1; at = memory.indexOf(signature, at + 1))
    if (memory.subarray(at + sizeBytes - tail.length, at + sizeBytes).equals(tail)) return at;
  return undefined;
}

function wholePages(address: bigint, sizeBytes: bigint): AddressRange {
  const first = ((address + pageBytes - 1n) / pageBytes) * pageBytes;
  const end = ((address + sizeBytes) / pageBytes) * pageBytes;
  return { address: first, sizeBytes: end - first };
}
