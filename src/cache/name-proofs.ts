/*
 * Which names exist according to replies for one address type, whatever a server says about the other: some servers deny AAAA for names
 * that have an A record (RFC 4074 §4.2). However old such a proof is, only a newer reply for its own type takes it back.
 */
import { LRUCache } from "lru-cache";
import { isAddressType, otherAddressType } from "../wire/codes.ts";
import { askedType, type CacheEntry, hasName, nameOf, provesName } from "./entry.ts";
import { addressTypes, cacheKey, keysOfName } from "./key.ts";

/** The proofs: what the stores hold, and a memory of what they must not hold. */
export interface NameProofs {
  /** Whether the entry denies the whole name although the other address type has, or had, data or NODATA: its server denies types. */
  contradict(entry: CacheEntry): boolean;
  /** There is news about the entry's type, and the stores hold it. */
  noteKept(entry: CacheEntry): void;
  /** There is news about the entry's type that must not be kept. */
  noteUnkept(entry: CacheEntry): void;
  /** Forgets what it remembers besides the stores. */
  clear(): void;
}

/** How many names are remembered whose data must not be kept: few have a TTL of 0. */
const maxUnkept = 4096;

/** Creates the proofs. `peek` looks into the stores: it shows the entry with this key, whatever its age. */
export function createNameProofs(peek: (key: number) => CacheEntry | undefined): NameProofs {
  // By name and type. A clash costs a question, never a wrong answer.
  // By size, not by `max`: that would take the room of all of them at once.
  const unkept = new LRUCache<number, true>({ maxSize: maxUnkept, sizeCalculation: () => 1 });
  return {
    contradict(entry) {
      if (entry.type !== addressTypes) return false;
      const otherType = otherAddressType(askedType(entry));
      if (unkept.has(proofKey(entry, otherType))) return true;
      const name = nameOf(entry);
      return keysOfName(entry.nameHash, otherType, entry.class).some((key) => {
        const other = peek(key);
        if (other === undefined || other.type !== otherType || other.class !== entry.class) return false;
        return hasName(other, name, name.length) && provesName(other);
      });
    },
    noteKept: (entry) => void unkept.delete(proofKey(entry)),
    noteUnkept(entry) {
      if (isAddressType(askedType(entry)) && provesName(entry)) unkept.set(proofKey(entry), true);
      else unkept.delete(proofKey(entry));
    },
    clear: () => unkept.clear(),
  };
}

/** The key of what an address type shows about a name, whatever DO and CD its clients send. */
function proofKey(entry: CacheEntry, type = askedType(entry)): number {
  return cacheKey(entry.nameHash, type, entry.class, false, false);
}
