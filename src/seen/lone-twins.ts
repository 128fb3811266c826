/*
 * Queries whose twin for the other address type came from the same port, a resolver's time-out before. Either they were lost then, and are now sent
 * again alone, for the twin was answered; or the client has taken that port again by chance, once in some 28,000 times, and a new pair begins. What
 * comes next tells: a new pair has a twin at once, with an ID that is new. glibc sends the old twin again as well, with its old ID.
 */
import { type Recorder, Word, wordsPerSlot } from "./recorder.ts";
import { isTwin, leastWaitMs } from "./repeats.ts";

/** Holds such queries until it is known what they are. */
export interface LoneTwins {
  /** Holds the recorded query in a slot. The twin with the ID `twinId` came `afterMs` before it. */
  hold(slot: number, afterMs: number, twinId: number): void;
  /** Looks at a recorded query that came later, in a slot: if it makes a new pair with one that is held, that one is let go. */
  noteSlot(slot: number): void;
  /** Returns those that have stayed alone for long enough at `nowMs` (monotonic), and lets them go. Those that were overwritten are left out. */
  settle(nowMs: number): readonly { readonly slot: number; readonly afterMs: number }[];
}

/** More are not held, and nothing is claimed of them: each later query is compared with all. */
const most = 32;

/** Creates a list that holds none. */
export function createLoneTwins(recorder: Recorder): LoneTwins {
  const { words } = recorder;
  let held: { readonly number: number; readonly atMs: number; readonly afterMs: number; readonly twinId: number }[] =
    [];

  function isPair(number: number, twinId: number, at: number): boolean {
    const slot = recorder.slotOf(number);
    const other = slot * wordsPerSlot;
    const asked = words[at + Word.asked] as number;
    return (
      recorder.isThere(number) &&
      words[other + Word.nameHash] === words[at + Word.nameHash] &&
      words[other + Word.client] === words[at + Word.client] &&
      (words[other + Word.asked] as number) >>> 16 === asked >>> 16 &&
      isTwin(recorder.typeIn(slot), (words[at + Word.typeAndFlags] as number) >>> 16) &&
      (asked & 0xffff) !== twinId
    );
  }

  return {
    hold(slot, afterMs, twinId) {
      if (held.length < most)
        held.push({ number: recorder.numberIn(slot), atMs: recorder.atMsIn(slot), afterMs, twinId });
    },
    noteSlot(slot) {
      if (held.length > 0) held = held.filter(({ number, twinId }) => !isPair(number, twinId, slot * wordsPerSlot));
    },
    settle(nowMs) {
      const isDue = ({ atMs }: { readonly atMs: number }) => nowMs - atMs >= leastWaitMs;
      const due = held.filter(isDue);
      if (due.length > 0) held = held.filter((one) => !isDue(one));
      return due.flatMap(({ number, afterMs }) => {
        const slot = recorder.slotOf(number);
        return recorder.isThere(number) ? [{ slot, afterMs }] : [];
      });
    },
  };
}
