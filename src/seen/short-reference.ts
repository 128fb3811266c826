/*
 * A recorded query in 32 bits, for tables that lead to the record: the low 20 bits of its number, and 12 bits of the hash by which it is found, so that
 * of those that share a place all but one in 4096 are told apart without a look at the record. 0 is none.
 */

const tagBits = 12;
const tagMask = 2 ** tagBits - 1;
const numberMask = 2 ** (32 - tagBits) - 1;

/** The reference to a query, by its number (counted from 1) and its hash, whose highest bits go into it. */
export function shortReference(number: number, hash: number): number {
  return (number << tagBits) | (hash >>> (32 - tagBits));
}

/** Whether the query behind a reference may have this hash. */
export function mayHaveHash(reference: number, hash: number): boolean {
  return ((reference ^ (hash >>> (32 - tagBits))) & tagMask) === 0;
}

/** The number of the query behind a reference that was made when `last` was the newest number or before: the last one that ends so. */
export function numberBehind(reference: number, last: number): number {
  return last - ((last - (reference >>> tagBits)) & numberMask);
}
