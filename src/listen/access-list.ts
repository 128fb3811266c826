/*
 * Which clients may ask. A node can have a public address, and nodens must not be an open resolver: a client that is not on the list
 * gets no reply, and nothing else is done for it.
 */
import { isIPv6 } from "node:net";
import { addressOctets } from "../runtime/server-address.ts";
import { ipv4Octets, ipv4SocketAddressSizeBytes, ipv6Octets, type SocketAddress } from "../runtime/socket-address.ts";

/** An address range, such as "10.0.0.0/8": an IP literal and the length of its prefix in bits. */
export interface AllowedRange {
  readonly address: string;
  readonly prefixLength: number;
}

/** Whether a client may ask. */
export type AccessList = (client: SocketAddress) => boolean;

/** The ranges of one family in words of 32 bits, in the order of the ranges: the prefix, and which of its bits count. */
interface PackedRanges {
  readonly prefixes: Int32Array;
  readonly masks: Int32Array;
}

/** Creates a list from valid ranges; without any, nobody may ask. Every query is compared with each range of its family until one fits. */
export function createAccessList(ranges: readonly AllowedRange[]): AccessList {
  const short = pack(ranges.filter(({ address }) => !isIPv6(address)));
  const long = pack(ranges.filter(({ address }) => isIPv6(address)));
  return (client) =>
    client.length === ipv4SocketAddressSizeBytes
      ? isInShortRange(short, wordAt(client, ipv4Octets.offset))
      : isInLongRange(long, client);
}

function isInShortRange({ prefixes, masks }: PackedRanges, address: number): boolean {
  for (let range = 0; range < masks.length; range += 1)
    if ((address & (masks[range] as number)) === prefixes[range]) return true;
  return false;
}

function isInLongRange({ prefixes, masks }: PackedRanges, client: SocketAddress): boolean {
  const { offset } = ipv6Octets;
  const first = wordAt(client, offset);
  const second = wordAt(client, offset + 4);
  const third = wordAt(client, offset + 8);
  const fourth = wordAt(client, offset + 12);
  for (let at = 0; at < masks.length; at += 4) {
    if ((first & (masks[at] as number)) !== prefixes[at]) continue;
    if ((second & (masks[at + 1] as number)) !== prefixes[at + 1]) continue;
    if ((third & (masks[at + 2] as number)) !== prefixes[at + 2]) continue;
    if ((fourth & (masks[at + 3] as number)) === prefixes[at + 3]) return true;
  }
  return false;
}

function pack(ranges: readonly AllowedRange[]): PackedRanges {
  const words = ranges.map(({ address, prefixLength }) => {
    const octets = addressOctets(address);
    return Array.from({ length: octets.length / 4 }, (_, word) => {
      const mask = maskOf(prefixLength - word * 32);
      return { mask, prefix: wordAt(octets, word * 4) & mask };
    });
  });
  return {
    prefixes: Int32Array.from(words.flat(), ({ prefix }) => prefix),
    masks: Int32Array.from(words.flat(), ({ mask }) => mask),
  };
}

/** The first `bits` bits of a word; none for 0 or less, all for 32 or more. A shift by 32 would be one by 0. */
function maskOf(bits: number): number {
  if (bits <= 0) return 0;
  return bits >= 32 ? -1 : -1 << (32 - bits);
}

function wordAt(octets: ArrayLike<number>, offset: number): number {
  const high = ((octets[offset] as number) << 24) | ((octets[offset + 1] as number) << 16);
  return high | ((octets[offset + 2] as number) << 8) | (octets[offset + 3] as number);
}
