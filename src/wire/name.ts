/*
 * Names in wire form: a length octet before each label, a zero octet at the end (RFC 1035 §3.1). "Folded" means with ASCII
 * letters in lower case (RFC 4343), which is how names are compared, keyed and sent upstream.
 */
import { Fault } from "./fault.ts";
import { headerSizeBytes } from "./header.ts";
import { readU16, readU8 } from "./octets.ts";

/** The longest name in wire form, root octet included (RFC 1035 §2.3.4). */
export const maxNameSizeBytes = 255;

/** The buffer that a name is folded into, and its hash. Reused from query to query; valid until the next name is folded into it. */
export interface FoldedName {
  /** Room for the longest name. Only the first `sizeBytes` octets belong to the current one. */
  readonly octets: Uint8Array;
  /** The same room, for four octets at a time. */
  readonly words: DataView;
  sizeBytes: number;
  /** A 32-bit integer, keyed by the seed. Equal names have equal hashes; the reverse needs a comparison. */
  hash: number;
  /** Keys the hash, so that nobody outside can choose names that collide. */
  readonly seed: number;
  /** The seed as the two words of a HalfSipHash key. */
  readonly key0: number;
  readonly key1: number;
}

/** Creates an empty buffer for folded names. `seed` is any integer of up to 53 bits, random per process. */
export function createFoldedName(seed: number): FoldedName {
  const [key0, key1] = [seed | 0, Math.floor(seed / 0x1_0000_0000) | 0];
  const octets = new Uint8Array(maxNameSizeBytes);
  return { octets, words: new DataView(octets.buffer), sizeBytes: 0, hash: 0, seed, key0, key1 };
}

/**
 * Folds the uncompressed name at `offset` into `target`. Returns the offset after the name, or a Fault, also for a pointer: a name in
 * the question has nothing to point at. Never reads at or past `end`.
 *
 * The hash is HalfSipHash-1-3 (Aumasson, Bernstein) of the folded octets: without the key nobody can tell which names collide, however
 * well they know the code. A round takes four octets, and so does the folding, so both cost about what a multiplication for each octet
 * would. All of it is in one function, with the round written twice, because its state is four local integers (bench/hot/read-query).
 */
export function foldName(packet: Uint8Array, offset: number, end: number, target: FoldedName): number {
  const nameEnd = endOfUncompressed(packet, offset, end);
  if (nameEnd < 0) return nameEnd;
  const { octets, words, key0, key1 } = target;
  const sizeBytes = nameEnd - offset;
  const tailStart = sizeBytes & ~3;
  let v0 = key0;
  let v1 = key1;
  let v2 = key0 ^ 0x6c79_6765;
  let v3 = key1 ^ 0x7465_6462;
  // Length octets are below "A", so they fold to themselves and need no special case.
  for (let index = 0; index < tailStart; index += 4) {
    const at = offset + index;
    const raw =
      readU8(packet, at) |
      (readU8(packet, at + 1) << 8) |
      (readU8(packet, at + 2) << 16) |
      (readU8(packet, at + 3) << 24);
    const low = raw & 0x7f7f_7f7f;
    // The highest bit of each octet in the sums: whether it is "A" or above, and whether it is above "Z". 0x80 >>> 2 is the case bit.
    const word = raw | ((((low + 0x3f3f_3f3f) ^ (low + 0x2525_2525)) & ~raw & 0x8080_8080) >>> 2);
    words.setInt32(index, word, true);
    v3 ^= word;
    v0 = (v0 + v1) | 0;
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
    v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0;
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
    v2 = (v2 << 16) | (v2 >>> 16);
    v0 ^= word;
  }
  // The last word: the octets that are left, and the size in its highest octet.
  let lastWord = sizeBytes << 24;
  for (let index = tailStart; index < sizeBytes; index += 1) {
    const octet = readU8(foldTable, readU8(packet, offset + index));
    octets[index] = octet;
    lastWord |= octet << ((index - tailStart) << 3);
  }
  v3 ^= lastWord;
  for (let round = 0; round < 4; round += 1) {
    v0 = (v0 + v1) | 0;
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
    v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0;
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
    v2 = (v2 << 16) | (v2 >>> 16);
    // The first of the four rounds is the last word's; the other three finish the hash.
    if (round === 0) {
      v0 ^= lastWord;
      v2 ^= 0xff;
    }
  }
  target.sizeBytes = sizeBytes;
  target.hash = v1 ^ v3;
  return nameEnd;
}

/** The hash that foldName gives the well-formed name in `octets` from `offset` to `end`, under the same seed. */
export function hashName(octets: Uint8Array, offset: number, end: number, seed: number): number {
  if (hashed.seed !== seed) hashed = createFoldedName(seed);
  foldName(octets, offset, end, hashed);
  return hashed.hash;
}

/** The buffer of hashName. There is only one seed in a process. */
let hashed = createFoldedName(0);

/** The offset after the uncompressed name at `offset`, or a Fault. */
function endOfUncompressed(packet: Uint8Array, offset: number, end: number): number {
  let at = offset;
  for (;;) {
    if (at >= end) return Fault.questionTruncated;
    const labelSize = readU8(packet, at);
    if (labelSize > 63) return labelSize >= 0xc0 ? Fault.pointer : Fault.labelType;
    at += 1 + labelSize;
    if (labelSize > 0 && at - offset >= maxNameSizeBytes) return Fault.nameTooLong;
    if (at > end) return Fault.questionTruncated;
    if (labelSize === 0) return at;
  }
}

/**
 * The offset after the possibly compressed name at `offset`. Its pointer is not followed, so the work is linear in the packet however
 * pointers are chained. A Fault when the name is cut off, too long, or points anywhere but back into what precedes it.
 */
export function skipName(packet: Uint8Array, offset: number, end: number): number {
  let at = offset;
  while (at < end) {
    const labelSize = readU8(packet, at);
    if (labelSize === 0) return at + 1;
    if (labelSize >= 0xc0) {
      if (at + 2 > end) return Fault.recordTruncated;
      const target = readU16(packet, at) & 0x3fff;
      return target < headerSizeBytes || target >= offset ? Fault.pointer : at + 2;
    }
    if (labelSize > 63) return Fault.labelType;
    at += 1 + labelSize;
    if (at - offset >= maxNameSizeBytes) return Fault.nameTooLong;
  }
  return Fault.recordTruncated;
}

/**
 * Decompresses and folds the name at `offset`. Returns a new array in wire form, or a Fault. At most 127 pointers are
 * followed, and only backwards, so that loops end. Never reads at or past `end`.
 */
export function expandName(packet: Uint8Array, offset: number, end: number): Uint8Array | number {
  const octets = new Uint8Array(maxNameSizeBytes);
  let sizeBytes = 0;
  let at = offset;
  let lowestPointer = offset;
  let pointersLeft = 127;
  while (at < end) {
    const labelSize = readU8(packet, at);
    if (labelSize >= 0xc0) {
      if (at + 2 > end) return Fault.recordTruncated;
      at = readU16(packet, at) & 0x3fff;
      if (at < headerSizeBytes || at >= lowestPointer || pointersLeft === 0) return Fault.pointer;
      pointersLeft -= 1;
      lowestPointer = at;
      continue;
    }
    if (labelSize > 63) return Fault.labelType;
    const nextSize = sizeBytes + 1 + labelSize;
    if (nextSize > (labelSize === 0 ? maxNameSizeBytes : maxNameSizeBytes - 1)) return Fault.nameTooLong;
    if (at + 1 + labelSize > end) return Fault.recordTruncated;
    for (let index = 0; index <= labelSize; index += 1) {
      octets[sizeBytes + index] = readU8(foldTable, readU8(packet, at + index));
    }
    sizeBytes = nextSize;
    if (labelSize === 0) return octets.slice(0, sizeBytes);
    at += 1 + labelSize;
  }
  return Fault.recordTruncated;
}

/** Whether the folded name is `zone` (folded, wire form) or lies below it. */
export function isAtOrBelow(name: Uint8Array, zone: Uint8Array): boolean {
  const zoneStart = name.length - zone.length;
  if (zoneStart < 0) return false;
  // From the end, where names differ soonest.
  for (let index = zone.length - 1; index >= 0; index -= 1) if (name[zoneStart + index] !== zone[index]) return false;
  // Only a label boundary counts: "xcluster.local" is not below "cluster.local".
  let at = 0;
  while (at < zoneStart) at += 1 + readU8(name, at);
  return at === zoneStart;
}

/** Whether `octets`, from `offset` on, holds exactly the octets of `expected`. */
export function equalOctets(octets: Uint8Array, offset: number, expected: Uint8Array): boolean {
  if (octets.length - offset < expected.length) return false;
  for (let index = 0; index < expected.length; index += 1) {
    if (octets[offset + index] !== expected[index]) return false;
  }
  return true;
}

/** The lower case of an octet that is an ASCII letter; every other octet itself. */
export function foldOctet(octet: number): number {
  return readU8(foldTable, octet);
}

const foldTable = Uint8Array.from({ length: 256 }, (_, octet) =>
  octet >= 0x41 && octet <= 0x5a ? octet | 0x20 : octet,
);
