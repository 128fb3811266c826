/*
 * Labels as strings, without a new string for each query: the same few labels (`com`, the namespaces of a node) come again and again.
 */
import { readU8, textOfOctets } from "../wire/octets.ts";

/** Labels that are remembered, by a hash of their octets; the newest takes the place. A power of two. */
const placeCount = 256;

const remembered = Array.from({ length: placeCount }, () => "");

/** The label whose length octet is at `offset`, one character for each octet. */
export function labelText(octets: Uint8Array, offset: number): string {
  const sizeBytes = readU8(octets, offset);
  const start = offset + 1;
  let hash = sizeBytes;
  for (let index = 0; index < sizeBytes; index += 1)
    hash = Math.imul(hash ^ readU8(octets, start + index), 0x0100_0193);
  const place = (hash ^ (hash >>> 15)) & (placeCount - 1);
  const known = remembered[place] as string;
  if (isText(octets, start, sizeBytes, known)) return known;
  const text = textOfOctets(octets.subarray(start, start + sizeBytes));
  remembered[place] = text;
  return text;
}

function isText(octets: Uint8Array, start: number, sizeBytes: number, text: string): boolean {
  if (text.length !== sizeBytes) return false;
  for (let index = 0; index < sizeBytes; index += 1) {
    if (text.charCodeAt(index) !== octets[start + index]) return false;
  }
  return true;
}
