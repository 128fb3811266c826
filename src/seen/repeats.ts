/*
 * Queries that a client sends again: the sign of a pod that waits. A table of the last queries, found by client, port and name, leads to the record,
 * which tells whether the same query was there before, how long ago, and what had become of it.
 *
 * An entry is a short reference; a set of four, the newest first, is a quarter of a line of the processor's cache. Both address types of one lookup lie in the same set, so that a query can be told from one whose twin never came.
 */
import { Rcode, RrType } from "../wire/codes.ts";
import { FlagBit, type RecordedQuery, type Recorder, rowOfClient, Word, wordsPerSlot } from "./recorder.ts";
import { mayHaveHash, numberBehind, shortReference } from "./short-reference.ts";

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

/** What `look` found out about the query it was last given. Valid until the next call. */
export interface Noted {
  /** How long before it the same query had come, in ms; 0 if it had not, or so recently that nobody waited. */
  afterMs: number;
  /** What had become of it: a First. Only meaningful if `afterMs` is not 0. */
  first: number;
  /** Whether the same question had come from the same port with another ID, so long before that it may be another try. */
  isAskedAnew: boolean;
  /**
   * How long before it its twin for the other address type had come from the same port; -1 if it had not. Only meaningful if `afterMs` is not 0, or if
   * it is long enough for somebody to have waited.
   */
  twinAfterMs: number;
  /** That twin's ID. Only meaningful if `twinAfterMs` is not -1. */
  twinId: number;
}

/** Remembers queries. */
export interface Repeats {
  /**
   * Looks at the recorded query in a slot: once at each, in the order in which they came. Those over TCP, or of no client's row, are passed over. From
   * the number `lately` on all came less than `leastWaitMs` before it. Numbers are one higher here than in the record, so that 0 is none.
   */
  look(slot: number, number: number, lately: number): Readonly<Noted>;
  /** How many were forgotten before a client could have asked again, in the table or in the record: above 0, repeats go unseen. */
  forgottenCount(): number;
}

/** No resolver asks again sooner because it has heard nothing; after an error, all of them do. */
export const leastWaitMs = 900;

/** No resolver waits longer for a reply. What comes later has the same port and ID by chance. */
export const mostWaitMs = 15_000;

/** glibc, Go and systemd-resolved wait longest before they ask again. */
const longestTimeoutMs = 5000;

const waysPerSet = 4;

/** Creates a table of `entryCount` queries of a record, a power of 2 of at least 4, of 4 octets each. */
export function createRepeats(recorder: Recorder, entryCount: number): Repeats {
  const { words } = recorder;
  const table = new Int32Array(entryCount);
  const setMask = entryCount / waysPerSet - 1;
  const noted: Noted = { afterMs: 0, first: 0, isAskedAnew: false, twinAfterMs: -1, twinId: 0 };
  let oldestRecent = 1;
  let forgotten = 0;

  function look(slot: number, number: number, lately: number): Noted {
    noted.afterMs = 0;
    noted.isAskedAnew = false;
    noted.twinAfterMs = -1;
    const at = slot * wordsPerSlot;
    moveOldestRecent(number, words[at + Word.moment] as number);
    const row = rowOfClient(words[at + Word.client] as number);
    if (row < 0 || ((words[at + Word.typeAndFlags] as number) & FlagBit.tcp) !== 0) return noted;
    const port = (words[at + Word.asked] as number) >>> 16;
    const hash = hashOf(words[at + Word.nameHash] as number, row, port);
    const start = ((hash >>> 4) & setMask) * waysPerSet;
    const newest = table[start] as number;
    const second = table[start + 1] as number;
    const third = table[start + 2] as number;
    const oldest = table[start + 3] as number;
    const mayBeRepeated =
      isEarlier(oldest, hash, number, lately) ||
      isEarlier(third, hash, number, lately) ||
      isEarlier(second, hash, number, lately) ||
      isEarlier(newest, hash, number, lately);
    if (mayBeRepeated) compareAll(at, start, hash, number);
    // A reference leads to a number of a million queries later as well: a place that is used so seldom is counted once too often now and then.
    if (oldest !== 0 && numberBehind(oldest, number) >= oldestRecent) forgotten += 1;
    table[start] = shortReference(number, hash);
    table[start + 1] = newest;
    table[start + 2] = second;
    table[start + 3] = third;
    return noted;
  }

  /** Those before the last 5 s may be forgotten. What the record has overwritten since is. */
  function moveOldestRecent(number: number, moment: number): void {
    // Numbers have begun anew.
    if (number < oldestRecent) oldestRecent = number;
    while (oldestRecent < number) {
      const at = recorder.slotOf(oldestRecent - 1) * wordsPerSlot;
      if (!recorder.isThere(oldestRecent - 1)) forgotten += 1;
      else if (((moment - (words[at + Word.moment] as number)) | 0) < longestTimeoutMs) return;
      oldestRecent += 1;
    }
  }

  /** Next to one that came long enough before, those that came lately matter too: from the newest to the oldest. */
  function compareAll(at: number, start: number, hash: number, number: number): void {
    for (let place = start; place < start + waysPerSet; place += 1) {
      const reference = table[place] as number;
      if (mayHaveHash(reference, hash)) compare(at, numberBehind(reference, number));
    }
  }

  /** The nearest tells, for a client counts its time-out from its last try; but not from one that it sent right after another. */
  function compare(at: number, number: number): void {
    const slot = recorder.slotOf(number - 1);
    const other = slot * wordsPerSlot;
    const ageMs = ((words[at + Word.moment] as number) - (words[other + Word.moment] as number)) | 0;
    if (!recorder.isThere(number - 1) || ageMs > mostWaitMs || !isSameLookup(at, other)) return;
    const type = (words[at + Word.typeAndFlags] as number) >>> 16;
    const known = (words[other + Word.typeAndFlags] as number) >>> 16;
    if (isTwin(known, type)) {
      if (noted.twinAfterMs < 0) {
        noted.twinAfterMs = ageMs;
        noted.twinId = (words[other + Word.asked] as number) & 0xffff;
      }
    } else if (known === type && ageMs >= leastWaitMs) {
      if (words[at + Word.asked] === words[other + Word.asked]) noteRepeat(at, slot, ageMs);
      else if (noted.afterMs === 0) noted.isAskedAnew = true;
    }
  }

  function noteRepeat(at: number, slot: number, ageMs: number): void {
    if (noted.afterMs > 0 && ageMs - noted.afterMs >= leastWaitMs) return;
    noted.afterMs = ageMs;
    noted.first = becameOf(recorder.read(slot), recorder.atMsIn(at / wordsPerSlot));
  }

  /** Whether both are of one client, name and port. */
  function isSameLookup(at: number, other: number): boolean {
    return (
      words[at + Word.nameHash] === words[other + Word.nameHash] &&
      words[at + Word.client] === words[other + Word.client] &&
      (words[at + Word.asked] as number) >>> 16 === (words[other + Word.asked] as number) >>> 16
    );
  }

  return { look, forgottenCount: () => forgotten };
}

/** Whether a reference may be to a query with this hash, from before the number `lately`. */
function isEarlier(reference: number, hash: number, number: number, lately: number): boolean {
  return mayHaveHash(reference, hash) && numberBehind(reference, number) < lately;
}

/** A name's hash is keyed already, so that nobody can choose names for it. */
function hashOf(nameHash: number, row: number, port: number): number {
  const word = Math.imul(nameHash ^ Math.imul(row, 0xc2b2_ae35) ^ Math.imul(port, 0x9e37_79b1), 0x85eb_ca6b);
  return word ^ (word >>> 15);
}

/** What had become of a query at a moment: a First. */
export function becameOf({ rcode, isDropped, atMs, durationMs }: RecordedQuery, whenMs: number): number {
  if (isDropped) return First.shed;
  if (rcode === undefined || atMs + durationMs > whenMs) return First.waiting;
  return rcode === Rcode.NOERROR || rcode === Rcode.NXDOMAIN ? First.answered : First.failed;
}

/** Whether one of two types is A and the other AAAA. */
export function isTwin(type: number, other: number): boolean {
  return (type === RrType.A && other === RrType.AAAA) || (type === RrType.AAAA && other === RrType.A);
}
