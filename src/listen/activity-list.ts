/*
 * What is open, in the order of its last activity. The entries are linked themselves: a Map of things that come and go keeps those of its
 * outgrown tables alive (resolve/key-table.ts), which the collector pays for with each connection.
 */

/** What an entry has for its place in the list. Only this file changes it. */
export interface ActivityEntry<Entry> {
  activeAtMs: number;
  isListed: boolean;
  older: Entry | undefined;
  newer: Entry | undefined;
}

/** The list. */
export interface ActivityList<Entry> {
  /** Puts an entry at the end: it was active now. */
  touch(entry: Entry, nowMs: number): void;
  /** Takes an entry out. Returns whether it was there. */
  remove(entry: Entry): boolean;
  size(): number;
  /** All entries, the longest inactive first. During the walk the one that was given last may be taken out, and no other. */
  walk(): Generator<Entry>;
}

/** The fields of an entry that is in no list. */
export const unlisted = { activeAtMs: 0, isListed: false, older: undefined, newer: undefined } as const;

/** Creates an empty list. */
export function createActivityList<Entry extends ActivityEntry<Entry>>(): ActivityList<Entry> {
  let oldest: Entry | undefined;
  let newest: Entry | undefined;
  let count = 0;

  function remove(entry: Entry): boolean {
    if (!entry.isListed) return false;
    const { older, newer } = entry;
    if (older === undefined) oldest = newer;
    else older.newer = newer;
    if (newer === undefined) newest = older;
    else newer.older = older;
    // What is no longer listed must not keep others alive.
    entry.older = undefined;
    entry.newer = undefined;
    entry.isListed = false;
    count -= 1;
    return true;
  }

  return {
    touch(entry, nowMs) {
      entry.activeAtMs = nowMs;
      if (entry === newest) return;
      remove(entry);
      entry.older = newest;
      if (newest === undefined) oldest = entry;
      else newest.newer = entry;
      newest = entry;
      entry.isListed = true;
      count += 1;
    },
    remove,
    size: () => count,
    *walk() {
      for (let entry = oldest; entry !== undefined;) {
        const { newer }: Entry = entry;
        yield entry;
        entry = newer;
      }
    },
  };
}
