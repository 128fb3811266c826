/*
 * Which clients may ask. A node can have a public address, and nodens must not be an open resolver: a client that is not on the list
 * gets no reply, and nothing else is done for it.
 */
import { BlockList, isIPv6 } from "node:net";
import { LRUCache } from "lru-cache";

/** An address range, such as "10.0.0.0/8": an IP literal and the length of its prefix in bits. */
export interface AllowedRange {
  readonly address: string;
  readonly prefixLength: number;
}

/** Whether a client may ask. `address` is an IP literal as sockets report it, with or without a zone; false for any other text. */
export type AccessList = (address: string) => boolean;

/** The number of addresses whose verdicts are kept: more than a node has pods. */
const rememberedAddresses = 4096;

/** Creates a list from valid ranges; without any, nobody may ask. The ranges are searched once per address, not once per query. */
export function createAccessList(ranges: readonly AllowedRange[]): AccessList {
  const allowed = new BlockList();
  for (const { address, prefixLength } of ranges) {
    allowed.addSubnet(address, prefixLength, isIPv6(address) ? "ipv6" : "ipv4");
  }
  const verdicts = new LRUCache<string, boolean>({ max: rememberedAddresses });
  return (address) => {
    const known = verdicts.get(address);
    if (known !== undefined) return known;
    // A link-local address comes with its zone ("fe80::1%eth0"), which is not part of the address.
    const [bare = address] = address.split("%");
    const verdict = allowed.check(bare, isIPv6(bare) ? "ipv6" : "ipv4");
    verdicts.set(address, verdict);
    return verdict;
  };
}
