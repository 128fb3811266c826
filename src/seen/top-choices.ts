/*
 * What can be chosen on the screen of `nodens top`.
 */

/** The parts of the screen that the lower half can show. */
export const topTabs = ["clients", "names", "denied", "waits", "upstream", "tail", "kernel"] as const;

/** One of them. */
export type TopTab = (typeof topTabs)[number];

/** What clients can be sorted by, the most first. */
export const topSorts = ["queries", "waits", "waste", "denials"] as const;

/** One of them. */
export type TopSort = (typeof topSorts)[number];

/** What was chosen. */
export interface TopChoice {
  readonly tab: TopTab;
  /** How many lines the screen may have, at least 12. */
  readonly rows: number;
  /** The terminal's columns; undefined where there is none. */
  readonly columns?: number | undefined;
  /** Part of a name, a client or a namespace; "" shows everything. */
  readonly filter: string;
  readonly sort: TopSort;
  /** The line of clients that is marked, from 0; -1 marks none. */
  readonly line: number;
}
