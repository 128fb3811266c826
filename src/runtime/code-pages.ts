/*
 * Pages of the program's own files that starting has read and serving does not need: most of Node.js. As long as they are mapped, they count
 * as resident, and the kernel takes them back late.
 */
import { readFileSync } from "node:fs";
import { libc } from "./libc.ts";

/** A range of addresses. */
export interface Mapping {
  readonly address: bigint;
  readonly sizeBytes: bigint;
}

/** MADV_DONTNEED of madvise(2): for a page that is as in its file, nothing is lost; the next access maps it again. */
const dontNeed = 4;

/**
 * Unmaps all such pages; what is in use comes back with the next access. Takes some milliseconds, so once, soon after the start. Returns
 * how many bytes of addresses were given up: 0 where the system offers no way.
 */
export function dropCodePages(): bigint {
  let dropped = 0n;
  for (const { address, sizeBytes } of readMappings()) {
    if (libc?.madvise(address, sizeBytes, dontNeed) === 0) dropped += sizeBytes;
  }
  return dropped;
}

/** The mappings of files, in the form of /proc/self/smaps, that nothing can have changed: not writable, and all pages as in the file. */
export function unchangedFileMappings(smaps: string): Mapping[] {
  const found: Mapping[] = [];
  let candidate: Mapping | undefined;
  for (const line of smaps.split("\n")) {
    const [, from, to, inode] = /^([0-9a-f]+)-([0-9a-f]+) r-[-x]p [0-9a-f]+ \S+ (\d+)/.exec(line) ?? [];
    if (from !== undefined && inode !== "0")
      candidate = { address: BigInt(`0x${from}`), sizeBytes: BigInt(`0x${to}`) - BigInt(`0x${from}`) };
    else if (/^[0-9a-f]+-/.test(line)) candidate = undefined;
    // Where the linker has written addresses before it took away the right to.
    else if (/^Anonymous: +0 kB/.test(line) && candidate !== undefined) found.push(candidate);
  }
  return found;
}

function readMappings(): Mapping[] {
  try {
    return libc === undefined ? [] : unchangedFileMappings(readFileSync("/proc/self/smaps", "latin1"));
  } catch {
    return [];
  }
}
