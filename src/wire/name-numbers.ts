/*
 * The names of one message as numbers, so that they can be compared without being written out: equal names have equal numbers, however
 * they are compressed and spelled. Every octet is looked at once, however many pointers lead to it: linear in the packet.
 */
import { Fault } from "./fault.ts";
import { headerSizeBytes } from "./header.ts";
import { foldOctet, maxNameSizeBytes } from "./name.ts";
import { readU16, readU8 } from "./octets.ts";

/** Returns the number of the name at an offset: 0 for the root, a Fault for a name that cannot be read. */
export type NumberOfName = (offset: number) => number;

/** Numbers the names of `packet`, which must not change while the result is in use. Nothing is read at or past its end. */
export function createNameNumbers(packet: Uint8Array): NumberOfName {
  // By the offset of a label or pointer: the number of the name that starts there.
  const byOffset = new Map<number, number>();
  // By the first label and the number of what follows it.
  const byLabel = new Map<string, number>();
  const sizes = [1];

  /** Walks from `offset` to a known name or to the root, and notes each step. Returns the number of the name it ended at, or a Fault. */
  function walk(offset: number, steps: number[]): number {
    let at = offset;
    let lowestPointer = offset;
    for (;;) {
      const known = byOffset.get(at);
      if (known !== undefined) return known;
      if (at >= packet.length) return Fault.recordTruncated;
      const labelSize = readU8(packet, at);
      if (labelSize === 0) return 0;
      if (labelSize > 63 && labelSize < 0xc0) return Fault.labelType;
      if (at + 1 + (labelSize & 0x3f) >= packet.length && labelSize < 0xc0) return Fault.recordTruncated;
      steps.push(at);
      if (steps.length > 2 * maxNameSizeBytes) return Fault.nameTooLong;
      if (labelSize < 0xc0) {
        at += 1 + labelSize;
        continue;
      }
      if (at + 2 > packet.length) return Fault.recordTruncated;
      at = readU16(packet, at) & 0x3fff;
      if (at < headerSizeBytes || at >= lowestPointer) return Fault.pointer;
      lowestPointer = at;
    }
  }

  /** The number of the name that has the label at `offset` before the name numbered `rest`, or a Fault. */
  function prepend(offset: number, rest: number): number {
    const labelSize = readU8(packet, offset);
    if (labelSize >= 0xc0) return rest;
    const sizeBytes = (sizes[rest] as number) + 1 + labelSize;
    if (sizeBytes > maxNameSizeBytes) return Fault.nameTooLong;
    let key = `${rest} `;
    for (let at = offset + 1; at <= offset + labelSize; at += 1)
      key += String.fromCharCode(foldOctet(readU8(packet, at)));
    const known = byLabel.get(key);
    if (known !== undefined) return known;
    const number = sizes.push(sizeBytes) - 1;
    byLabel.set(key, number);
    return number;
  }

  return (offset) => {
    const steps: number[] = [];
    let number = walk(offset, steps);
    for (let index = steps.length - 1; index >= 0 && number >= 0; index -= 1) {
      const at = steps[index] as number;
      number = prepend(at, number);
      byOffset.set(at, number);
    }
    return number;
  };
}
