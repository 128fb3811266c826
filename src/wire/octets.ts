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

/** Writes an unsigned 32-bit integer at `offset`. The caller guarantees the room. */
export function writeU32(octets: Uint8Array, offset: number, value: number): void {
  octets[offset] = value >>> 24;
  octets[offset + 1] = value >>> 16;
  octets[offset + 2] = value >>> 8;
  octets[offset + 3] = value;
}
