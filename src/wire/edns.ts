/*
 * EDNS: one OPT record in the additional section, which only neighbours exchange (RFC 6891 §6.1). A client's OPT never goes
 * upstream, and upstream's never reaches a client.
 *
 *      +------+-------+----------+---------+---------+-------+--------+---------+
 *      | 00   | type  | class    | TTL     | TTL     | TTL   | length | options |
 *      | root | 00 29 | UDP size | upper 8 | version | DO, 0 |        |         |
 *      +------+-------+----------+---------+---------+-------+--------+---------+
 *        1      2       2          1 rcode   1         2       2        length
 */
import { ExtendedError, RrType } from "./codes.ts";
import { Fault } from "./fault.ts";
import { readU16, writeU16 } from "./octets.ts";

/** The UDP size that nodens advertises to clients and upstream alike: it is not fragmented on any common path. */
export const ourUdpSizeBytes = 1232;

/** Size of an OPT record without options. */
export const optSizeBytes = 11;

/** Size of one extended error option without text (RFC 8914 §2). */
export const extendedErrorSizeBytes = 6;

/** The size of the OPT record that writeOpt writes for this extended error. */
export function optSizeFor(extendedError: number): number {
  return extendedError === ExtendedError.none ? optSizeBytes : optSizeBytes + extendedErrorSizeBytes;
}

/**
 * Writes nodens's OPT record at `offset` of `target` and returns the offset after it: `ourUdpSizeBytes`, `upperRcode` (the upper 8 of
 * 12 bits), DO, and an extended error unless it is `ExtendedError.none`. The caller guarantees the room (optSizeFor) and counts the
 * record in the header.
 */
export function writeOpt(
  target: Uint8Array,
  offset: number,
  upperRcode: number,
  dnssecOk: boolean,
  extendedError: number,
): number {
  target[offset] = 0;
  writeU16(target, offset + 1, RrType.OPT);
  writeU16(target, offset + 3, ourUdpSizeBytes);
  target[offset + 5] = upperRcode;
  target[offset + 6] = 0;
  target[offset + 7] = dnssecOk ? 0x80 : 0;
  target[offset + 8] = 0;
  if (extendedError === ExtendedError.none) {
    writeU16(target, offset + 9, 0);
    return offset + optSizeBytes;
  }
  writeU16(target, offset + 9, extendedErrorSizeBytes);
  writeU16(target, offset + 11, extendedErrorOption);
  writeU16(target, offset + 13, 2);
  writeU16(target, offset + 15, extendedError);
  return offset + optSizeBytes + extendedErrorSizeBytes;
}

/** Checks that the options from `offset` to `end` fill their record exactly. Returns 0, or Fault.optOptions. No option is acted upon. */
export function checkOptions(packet: Uint8Array, offset: number, end: number): number {
  let at = offset;
  while (at + 4 <= end) at += 4 + readU16(packet, at + 2);
  return at === end ? 0 : Fault.optOptions;
}

const extendedErrorOption = 15;
