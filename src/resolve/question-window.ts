/*
 * The questions of a route that are before its servers, in the order in which they left. In an array that stays, for they come and go all the
 * time (key-table says why that matters).
 */

/** What stands in a window. */
export interface InWindow {
  /** Its place, which is the window's business; undefined outside. */
  place?: number | undefined;
}

/** A window. */
export interface QuestionWindow<Entry extends InWindow> {
  add(entry: Entry): void;
  /** Whether the entry is in it. */
  has(entry: Entry): boolean;
  /** Takes out an entry that is in it. */
  remove(entry: Entry): void;
  /** Takes out the entry and all that left before it, and tells each. */
  removeUpTo(entry: Entry, tell: (left: Entry) => void): void;
  size(): number;
}

/** How many places that are done with are kept. */
const spentPlaces = 1024;

/** Creates an empty window. */
export function createQuestionWindow<Entry extends InWindow>(): QuestionWindow<Entry> {
  const entries: (Entry | undefined)[] = [];
  // The place of the first entry of the array, and of the first that may be in the window.
  let base = 0;
  let first = 0;
  let size = 0;

  function takeOut(at: number): Entry | undefined {
    const entry = entries[at - base];
    if (entry === undefined) return undefined;
    entries[at - base] = undefined;
    entry.place = undefined;
    size -= 1;
    return entry;
  }

  /** Nothing of the array is moved for each entry, only now and then. */
  function forgetSpent(): void {
    while (first < base + entries.length && entries[first - base] === undefined) first += 1;
    if (first - base < spentPlaces) return;
    entries.splice(0, first - base);
    base = first;
  }

  return {
    add(entry) {
      entry.place = base + entries.length;
      entries.push(entry);
      size += 1;
    },
    has: (entry) => entry.place !== undefined,
    remove(entry) {
      if (entry.place !== undefined) takeOut(entry.place);
      forgetSpent();
    },
    removeUpTo({ place }, tell) {
      if (place === undefined) return;
      for (let at = first; at <= place; at += 1) {
        const left = takeOut(at);
        if (left !== undefined) tell(left);
      }
      forgetSpent();
    },
    size: () => size,
  };
}
