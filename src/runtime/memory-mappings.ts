/*
 * What the process has mapped, as /proc/self/smaps tells it, and the call that gives pages back.
 */
import { readFileSync } from "node:fs";
import { libc } from "./libc.ts";

/** A range of addresses. */
export interface AddressRange {
  readonly address: bigint;
  readonly sizeBytes: bigint;
}

/** A private mapping that can be read. */
export interface MemoryMapping extends AddressRange {
  readonly isWritable: boolean;
  readonly isExecutable: boolean;
  /** Whether it shows a file. */
  readonly isOfFile: boolean;
  /** How much of it is in memory and not as in a file. */
  readonly anonymousBytes: number;
}

/** MADV_DONTNEED of madvise(2): the next access finds what is in the file, or zeros where there is none. */
const dontNeed = 4;

/** The private mappings that can be read, in a text in the form of /proc/self/smaps. */
export function parseMappings(smaps: string): MemoryMapping[] {
  // Of each, the line with its addresses, and of the lines with a word in front the one that is looked for.
  const pattern =
    /^([0-9a-f]+)-([0-9a-f]+) r([-w])([-x])p [0-9a-f]+ \S+ (\d+).*\n(?:[A-Z].*\n)*?Anonymous: +(\d+) kB/gm;
  return Array.from(smaps.matchAll(pattern), ([, from, to, writable, executable, inode, anonymousKib]) => ({
    address: BigInt(`0x${from}`),
    sizeBytes: BigInt(`0x${to}`) - BigInt(`0x${from}`),
    isWritable: writable === "w",
    isExecutable: executable === "x",
    isOfFile: inode !== "0",
    anonymousBytes: Number(anonymousKib) * 1024,
  }));
}

/** The private mappings of this process that can be read; none where the system does not tell. */
export function readMappings(): MemoryMapping[] {
  try {
    return libc === undefined ? [] : parseMappings(readFileSync("/proc/self/smaps", "latin1"));
  } catch {
    return [];
  }
}

/** Gives the pages of whole ranges back. Returns how many octets of addresses that were: 0 where the system offers no way. */
export function dropPages(ranges: readonly AddressRange[]): bigint {
  let dropped = 0n;
  for (const { address, sizeBytes } of ranges)
    if (libc?.madvise(address, sizeBytes, dontNeed) === 0) dropped += sizeBytes;
  return dropped;
}
