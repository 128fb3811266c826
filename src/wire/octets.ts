/*
 * Big-endian integers in octets (RFC 1035 §2.3.2). Callers have checked the bounds: these are the hot path's only readers.
 */

/** The octet at `offset`. The caller guarantees that `offset` lies inside. */
export function readU8(octets: Uint8Array, offset: number): number {
  return octets[offset] as number;
}

/** The unsigned 16-bit integer at `offset`. The caller guarantees that both octets lie inside. */
export function readU16(octets: Uint8Array, offset: number): number {
  return ((octets[offset] as number) << 8) | (octets[offset + 1] as number);
}

/** The unsigned 32-bit integer at `offset`. The caller guarantees that all four octets lie inside. */
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
