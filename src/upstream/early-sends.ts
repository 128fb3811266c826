/*
 * The budget for asking again early: a question whose flow goes on answering others may be lost, or its name may be slow. Sending
 * it again helps against loss and only adds load to a slow server. So a share of the questions may, and what helped is free.
 */

/** A token bucket that questions fill. */
export interface EarlySends {
  /** A question was asked for the first time. */
  noteQuestion(): void;
  /** Takes one early send out of the budget, if it has room. */
  take(): boolean;
  /** An early send was answered before the first. */
  giveBack(): void;
}

/** One early send for so many questions, when none of them helps. */
const questionsPerSend = 5;

/** So many may come at once. */
const burst = 20;

/** Creates a full budget. */
export function createEarlySends(): EarlySends {
  let room = burst;
  const add = (sends: number) => void (room = Math.min(burst, room + sends));
  return {
    noteQuestion: () => add(1 / questionsPerSend),
    take() {
      if (room < 1) return false;
      room -= 1;
      return true;
    },
    giveBack: () => add(1),
  };
}
