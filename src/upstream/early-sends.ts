/*
 * The budget for asking again early: a question whose flow goes on answering others may be lost, or its name may be slow. Sending
 * it again helps against loss and only adds load to a slow server. So a share of the questions may, and what helped is free. That
 * they help is also how loss is told from slowness.
 */

/** A token bucket that questions fill. */
export interface EarlySends {
  /** A question was asked for the first time. */
  noteQuestion(): void;
  /** Takes one early send out of the budget, if it has room. */
  take(): boolean;
  /** An early send was answered before the first: the `sends` that its question took are given back. */
  noteHelped(sends: number): void;
  /** Whether most of the latest early sends helped: packets are being lost, and names are not merely slow. */
  areHelping(): boolean;
}

/** One early send for so many questions, when none of them helps. */
const questionsPerSend = 5;

/** So many may come at once. */
const burst = 20;

/** How much the latest early send counts in the share of those that helped. */
const newestWeight = 1 / 8;

/** When so many of the latest helped, it is loss. */
const helpedShare = 0.3;

/** Creates a full budget. */
export function createEarlySends(): EarlySends {
  let room = burst;
  // Of the latest early sends, the share that helped.
  let helped = 0;
  const add = (sends: number) => void (room = Math.min(burst, room + sends));
  return {
    noteQuestion: () => add(1 / questionsPerSend),
    take() {
      if (room < 1) return false;
      room -= 1;
      helped *= 1 - newestWeight;
      return true;
    },
    noteHelped(sends) {
      add(sends);
      helped += newestWeight;
    },
    areHelping: () => helped >= helpedShare,
  };
}
