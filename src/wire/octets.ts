/*
 * Big-endian integers in octets (RFC 1035 §2.3.2). Nothing here checks bounds: the hot path reads through these, and its callers
 * have checked them.
 */

/** The octet at `offset`. The caller guarantees that it is within bounds. */
export function readU8(octets: Uint8Array, offset: number): number {
  return octets[offset] as number;
}

/** The unsigned 16-bit integer at `offset`. The caller guarantees that both octets are within bounds. */
export function readU16(octets: Uint8Array, offset: number): number {
  return ((octets[offset] as number) << 8) | (octets[offset + 1] as number);
}

/** The unsigned 32-bit integer at `offset`. The caller guarantees that all four octets are within bounds. */
export function readU32(octets: Uint8Array, offset: number): number {
  return readU16(octets, offset) * 0x1_0000 + readU16(octets, offset + 2);
}

/** Writes the low 16 bits of `value` at `offset`. The caller guarantees the room. */
export function writeU16(octets: Uint8Array, offset: number, value: number): void {
  octets[offset] = value >>> 8;
  octets[offset + 1] = value;
}

/**
 * Room for short-lived arrays, of which each takes the next part. An array of its own is memory of the system's from 65 octets on; a smaller
 * one becomes that as soon as a part of it is looked at, or the C library reads it.
 */
const slabSizeBytes = 16_384;
const mostOfSlabBytes = 1024;
let slab = new Uint8Array(0);
let slabTakenBytes = 0;

/**
 * A new array of zeros, for what lives briefly: it may be a part of a larger one, all of which stays in memory as long as any part lives.
 * Its `buffer` is not its own.
 */
export function briefOctets(sizeBytes: number): Uint8Array {
  if (sizeBytes > mostOfSlabBytes) return new Uint8Array(sizeBytes);
  if (slabTakenBytes + sizeBytes > slab.length) {
    slab = new Uint8Array(slabSizeBytes);
    slabTakenBytes = 0;
  }
  slabTakenBytes += sizeBytes;
  return new Uint8Array(slab.buffer, slabTakenBytes - sizeBytes, sizeBytes);
}

/** So many octets are copied more quickly one by one than through a view of them. */
const quickerAtOnceBytes = 128;

/**
 * A new array for what lives briefly, with the octets from `start` to `end` of another (a message at most, whatever kind of array it is in),
 * and room for more behind them.
 */
export function copyOctets(octets: Uint8Array, start: number, end: number, roomBytes = 0): Uint8Array {
  const copy = briefOctets(end - start + roomBytes);
  if (end - start > quickerAtOnceBytes) {
    copy.set(octets.subarray(start, end));
    return copy;
  }
  for (let at = start; at < end; at += 1) copy[at - start] = octets[at] as number;
  return copy;
}

/** The octets as a text, one character for each: a key for maps. Not by spreading them, which makes an object for each octet. */
export function textOfOctets(octets: Uint8Array): string {
  return Reflect.apply(String.fromCharCode, undefined, octets);
}

/** Writes an unsigned 32-bit integer at `offset`. The caller guarantees the room. */
export function writeU32(octets: Uint8Array, offset: number, value: number): void {
  octets[offset] = value >>> 24;
  octets[offset + 1] = value >>> 16;
  octets[offset + 2] = value >>> 8;
  octets[offset + 3] = value;
}
