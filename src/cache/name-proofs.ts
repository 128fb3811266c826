/*
 * Which names exist by the word of one address type, whatever a server says of the other: there are servers that deny AAAA of names that
 * have an A record (RFC 4074 §4.2). Of whatever age the word is, only newer news of its own type take it back.
 */
import { LRUCache } from "lru-cache";
import { isAddressType, RrType } from "../wire/codes.ts";
import { headerSizeBytes } from "../wire/header.ts";
import { askedType, type CacheEntry, hasName, provesName } from "./entry.ts";
import { addressTypes, cacheKey, keysOfName } from "./key.ts";

/** The proofs: what the stores hold, and a memory of what they may not hold. */
export interface NameProofs {
  /** Whether a denial of the whole name comes from a server that denies types: the other address type has, or had, data or NODATA. */
  contradict(entry: CacheEntry): boolean;
  /** The entry's type has news that the stores hold. */
  noteKept(entry: CacheEntry): void;
  /** The entry's type has news that may not be kept. */
  noteUnkept(entry: CacheEntry): void;
  clear(): void;
}

/** How many names are remembered whose data may not be kept: few have TTL 0. */
const maxUnkept = 4096;

/** Creates proofs over a look into the stores: the entry with this key, at whatever age. */
export function createNameProofs(peek: (key: number) => CacheEntry | undefined): NameProofs {
  // By name and type. A clash costs a question, never a wrong answer.
  const unkept = new LRUCache<number, true>({ max: maxUnkept });
  return {
    contradict(entry) {
      if (entry.type !== addressTypes) return false;
      const otherType = askedType(entry) === RrType.A ? RrType.AAAA : RrType.A;
      if (unkept.has(proofKey(entry, otherType))) return true;
      const name = entry.octets.subarray(headerSizeBytes, headerSizeBytes + entry.nameSizeBytes);
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

/** The key of what is known of a name by an address type, whatever DO and CD its clients send. */
function proofKey(entry: CacheEntry, type = askedType(entry)): number {
  return cacheKey(entry.nameHash, type, entry.class, false, false);
}
