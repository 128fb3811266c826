/*
 * Address ranges as the elements of a set of nftables, which takes no two that overlap.
 */
import { type Family, familyOf } from "./address-family.ts";
import { addressOctets } from "../runtime/server-address.ts";

/** An address range, as "10.0.0.0/8" says it. */
export interface AddressRange {
  readonly address: string;
  readonly prefixLength: number;
}

/** Those of one family, without those that lie in another one. */
export function elementsOf(ranges: readonly AddressRange[], family: Family): string[] {
  // Of two ranges that overlap, the shorter prefix holds the other whole.
  const widestFirst = ranges
    .filter(({ address }) => familyOf(address) === family)
    .toSorted((one, other) => one.prefixLength - other.prefixLength);
  const kept = new Map<string, AddressRange>();
  for (const range of widestFirst) {
    const prefixes = [...kept.values()].map(({ prefixLength }) => prefixOf({ ...range, prefixLength }));
    if (!prefixes.some((prefix) => kept.has(prefix))) kept.set(prefixOf(range), range);
  }
  return [...kept.values()].map(({ address, prefixLength }) => `${address}/${prefixLength}`);
}

/** The leading bits that count and how many they are: the same for every spelling of a range. */
function prefixOf({ address, prefixLength }: AddressRange): string {
  const bits = addressOctets(address).map((octet) => octet.toString(2).padStart(8, "0"));
  return `${bits.join("").slice(0, prefixLength)}/${prefixLength}`;
}
