/*
 * What makes two questions the same to the cache: folded name, type, class, DO and CD (RFC 4035 §3.2.1, §3.2.2).
 *
 * The key is one 32-bit integer, so that a lookup allocates nothing. Two questions may share a key; the entry's own question
 * decides, and a clash costs a miss, never a wrong answer. The name's hash is keyed, so it is chance which questions clash, and
 * no client can choose them.
 */

/** Stands in the key for "A and AAAA alike": type 0 is reserved and never asked (RFC 6895 §3.1). */
export const addressTypes = 0;

/**
 * The key of a question, a signed 32-bit integer. `nameHash` is the seeded hash of the folded name (wire/name). It is its own inverse: of
 * the key it makes the hash.
 */
export function cacheKey(
  nameHash: number,
  type: number,
  rrClass: number,
  dnssecOk: boolean,
  checkingDisabled: boolean,
): number {
  const rest = (type << 16) ^ (rrClass << 2) ^ (dnssecOk ? 2 : 0) ^ (checkingDisabled ? 1 : 0);
  // The name's hash is already well spread; an odd factor keeps the questions about one name apart.
  return nameHash ^ Math.imul(rest, 0x9e37_79b1);
}

/** The four keys of a name for a type, with and without DO and CD. */
export function keysOfName(nameHash: number, type: number, rrClass: number): number[] {
  return [0, 1, 2, 3].map((bits) => cacheKey(nameHash, type, rrClass, (bits & 1) !== 0, (bits & 2) !== 0));
}
