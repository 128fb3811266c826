/*
 * Queries that a client sends again: the sign of a pod that waits. A table of the last queries, found by client, port and name, tells for
 * each query whether the same one was here before, how long ago, and what had become of it.
 *
 * An entry is four 32-bit words, and a set of four entries one line of the processor's cache:
 *
 *      word 0   client and name, mixed
 *      word 1   source port << 16 | ID
 *      word 2   moment in ms << 2 | state
 *      word 3   type; in the first entry of a set, << 16, which entry is given up next
 *
 * Both address types of one lookup lie in the same set, so that a query can be told from one whose twin never came.
 */
import { RrType } from "../wire/codes.ts";

/** What had become of a query when it came again. */
export const First = {
  /** A reply had been sent: it was lost on the way to the pod. */
  answered: 0,
  /** It was still waiting for upstream. */
  waiting: 1,
  /** It got no reply, because a limit was reached. */
  shed: 2,
  /** It had been answered with an error, after which musl waits as if there had been no reply. */
  failed: 3,
  /** It had not come: it was lost on the way in, and its twin for the other address type tells when it was sent. */
  unseen: 4,
} as const;

/** The names of these, by number. */
export const firstNames: readonly string[] = Object.keys(First);

/** What `note` found out about the query it was last given. Valid until the next call. */
export interface Noted {
  /** How long before it the same query had come, in ms; 0 if it had not, or so recently that nobody waited. */
  afterMs: number;
  /** What had become of it: a First. Only meaningful if `afterMs` is not 0. */
  first: number;
  /** Whether the same question had come from the same port with another ID, so long before that it may be another try. */
  isAskedAnew: boolean;
  /** How long before it its twin for the other address type had come from the same port; -1 if it had not. */
  twinAfterMs: number;
}

/** Remembers queries. Moments are monotonic milliseconds. */
export interface Repeats {
  /** Notes a query and returns the number of its entry, which is valid until another query needs the room. `clientKey` is a hash. */
  note(clientKey: number, port: number, id: number, nameHash: number, type: number, nowMs: number): number;
  /**
   * Says what has become of the query with this entry: any First but `unseen`. Until then it is waiting. Does nothing if the entry has
   * become that of another query, as its port and ID tell: `asked` is `port << 16 | id`.
   */
  settle(entry: number, asked: number, state: number): void;
  readonly noted: Readonly<Noted>;
  /** How many entries were given up before a client could have asked again: above 0, repeats go unseen. */
  forgottenCount(): number;
}

/** No resolver asks again sooner because it has heard nothing; after an error, all of them do. */
export const leastWaitMs = 900;

/** No resolver waits longer for a reply. What comes later has the same port and ID by chance. */
export const mostWaitMs = 15_000;

const waysPerSet = 4;
const wayMask = waysPerSet - 1;
const wordsPerEntry = 4;
const wordsPerSet = waysPerSet * wordsPerEntry;

/** Creates a table of `entryCount` entries (a power of 2, at least 4), 16 octets each. */
export function createRepeats(entryCount: number): Repeats {
  const words = new Int32Array(entryCount * wordsPerEntry);
  const setMask = entryCount / waysPerSet - 1;
  const noted: Noted = { afterMs: 0, first: 0, isAskedAnew: false, twinAfterMs: -1 };
  let forgotten = 0;

  function note(clientKey: number, port: number, id: number, nameHash: number, type: number, nowMs: number): number {
    // Both are keyed hashes, so that nothing has to be mixed but the port.
    const who = clientKey ^ nameHash;
    const spread = Math.imul(who ^ Math.imul(port, 0x9e3779b1), 0x85ebca6b);
    const start = ((spread >>> 8) & setMask) * wordsPerSet;
    const asked = (port << 16) | id;
    const now = nowMs | 0;
    const oldest = (words[start + 3] as number) >>> 16;
    noted.afterMs = 0;
    noted.isAskedAnew = false;
    noted.twinAfterMs = -1;
    // From the newest on: the twin is most often the one before, which a processor that guesses its branches learns.
    for (let back = 1; back <= waysPerSet; back += 1) {
      const at = start + ((oldest - back) & wayMask) * wordsPerEntry;
      if (words[at] !== who) continue;
      const ageMs = ageOf(words[at + 2] as number, now);
      if (ageMs > mostWaitMs || (words[at + 1] as number) >>> 16 !== port) continue;
      const known = (words[at + 3] as number) & 0xffff;
      if (known === type) {
        if (words[at + 1] === asked) return again(at, ageMs, now);
        if (ageMs >= leastWaitMs) noted.isAskedAnew = true;
      }
      if (noted.twinAfterMs < 0 && isTwin(known, type)) noted.twinAfterMs = ageMs;
    }
    const at = start + oldest * wordsPerEntry;
    const stamp = words[at + 2] as number;
    if (stamp !== 0 && ageOf(stamp, now) < longestTimeoutMs) forgotten += 1;
    words[at] = who;
    words[at + 1] = asked;
    words[at + 2] = stampOf(now, First.waiting);
    words[at + 3] = type;
    words[start + 3] = ((words[start + 3] as number) & 0xffff) | (((oldest + 1) & wayMask) << 16);
    return at >> 2;
  }

  /** The query of the entry has come again. Looks for the twin among the entries of its set. */
  function again(at: number, ageMs: number, now: number): number {
    const state = (words[at + 2] as number) & 3;
    noted.afterMs = ageMs < leastWaitMs ? 0 : ageMs;
    noted.first = state;
    const start = at - (at % wordsPerSet);
    for (let other = start; other < start + wordsPerSet; other += wordsPerEntry) {
      const isSameSocket =
        words[other] === words[at] && (words[other + 1] as number) >>> 16 === (words[at + 1] as number) >>> 16;
      if (isSameSocket && isTwin((words[other + 3] as number) & 0xffff, (words[at + 3] as number) & 0xffff))
        noted.twinAfterMs = ageOf(words[other + 2] as number, now);
    }
    // One that was sent again at once leaves the moment of the first, from which the client counts its time-out.
    if (noted.afterMs > 0) words[at + 2] = stampOf(now, First.waiting);
    return at >> 2;
  }

  function settle(entry: number, asked: number, state: number): void {
    const at = entry * wordsPerEntry;
    if (words[at + 1] !== asked) return;
    words[at + 2] = ((words[at + 2] as number) & ~3) | state;
  }

  return { note, settle, noted, forgottenCount: () => forgotten };
}

const momentMask = 0x3fff_ffff;

/** glibc and Go wait longest before they ask again. */
const longestTimeoutMs = 5000;

/** The low 30 bits of the moment: differences are right for twelve days. 0 stands for an empty entry, which no moment after the first is. */
function stampOf(now: number, state: number): number {
  return (now << 2) | state;
}

function ageOf(stamp: number, now: number): number {
  return (now - (stamp >>> 2)) & momentMask;
}

function isTwin(type: number, other: number): boolean {
  return (type === RrType.A && other === RrType.AAAA) || (type === RrType.AAAA && other === RrType.A);
}
