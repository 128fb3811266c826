/*
 * The names of the recorded queries, each kept once, within a budget: a ring of octets in which the newest names overwrite the oldest. A
 * reference is the place of a name counted from the start of the process in words of four octets, so that it tells whether the ring has gone
 * over it since.
 *
 *      word 0 of a name: its hash        octet 4: its size        from octet 5: the name
 */
import type { FoldedName } from "../wire/name.ts";

/** Keeps names. */
export interface NameRing {
  /** The reference of a name, which is kept from now on if it was not. */
  keep(name: FoldedName): number;
  /** The name behind a reference (folded, wire form, a copy); undefined if it has been overwritten, or is not of this hash. */
  find(reference: number, hash: number): Uint8Array | undefined;
}

const headBytes = 5;

/** In the index: two references, the newer one first, each with its name's hash, so that a name that is kept is found in one line of the cache. */
const wordsPerSet = 4;

/** Creates a ring of `sizeBytes` octets, a power of 2 of at least 1024. An index of half that size comes on top. */
export function createNameRing(sizeBytes: number): NameRing {
  const words = new Int32Array(sizeBytes / 4);
  const wordMask = words.length - 1;
  const octets = new Uint8Array(words.buffer);
  const index = new Int32Array(sizeBytes / 8);
  const setMask = index.length / wordsPerSet - 1;
  // In words, counted from 1, so that 0 refers to no name.
  let next = 1;

  function isKept(reference: number): boolean {
    return reference > 0 && reference < next && next - reference <= words.length;
  }

  function keep(name: FoldedName): number {
    const { hash } = name;
    const set = ((hash ^ (hash >>> 13)) & setMask) * wordsPerSet;
    if (index[set + 1] === hash && isKept(index[set] as number)) return index[set] as number;
    if (index[set + 3] === hash && isKept(index[set + 2] as number)) return index[set + 2] as number;
    const reference = add(name);
    index[set + 2] = index[set] as number;
    index[set + 3] = index[set + 1] as number;
    index[set] = reference;
    index[set + 1] = hash;
    return reference;
  }

  function add({ hash, octets: from, sizeBytes: size }: FoldedName): number {
    const needed = Math.ceil((headBytes + size) / 4);
    // A name lies in one piece.
    const left = words.length - (next & wordMask);
    if (left < needed) next += left;
    if (next > lastReference) restart();
    const reference = next;
    next += needed;
    const at = (reference & wordMask) * 4;
    words[at / 4] = hash;
    octets[at + 4] = size;
    for (let octet = 0; octet < size; octet += 1) octets[at + headBytes + octet] = from[octet] as number;
    return reference;
  }

  /** References are 30 bits wide: once in 4 GiB of names everything is forgotten. */
  function restart(): void {
    index.fill(0);
    next = 1;
  }

  function find(reference: number, hash: number): Uint8Array | undefined {
    const at = (reference & wordMask) * 4;
    if (!isKept(reference) || words[at / 4] !== hash) return undefined;
    return octets.slice(at + headBytes, at + headBytes + (octets[at + 4] as number));
  }

  return { keep, find };
}

const lastReference = 2 ** 30 - 1;
