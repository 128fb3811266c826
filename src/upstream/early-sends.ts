/*
 * The budget for asking again early: a question whose flow goes on answering others may be lost, or its name may be slow. Sending it again
 * helps if it was lost, and only adds load to a server that is slow. So only a share of the questions may be sent again early, and a send
 * that helped costs nothing. That early sends help is also how nodens tells loss from slowness.
 */
import type { Clock } from "../runtime/clock.ts";

/** A token bucket that is filled by questions. */
export interface EarlySends {
  /** A question was asked for the first time. */
  noteQuestion(): void;
  /** Takes one early send out of the budget, or returns false if there is none left. */
  take(): boolean;
  /**
   * An early send was answered before an earlier one: gives back the `sends` that the question took from the budget. `wasQuick`: within the
   * path's round trip, as after a loss; a slow name that is asked twice may be answered to the second send first, but no quicker.
   */
  noteHelped(sends: number, wasQuick: boolean): void;
  /** A connection was stuck, and no name was slow: a lost packet has been repaired, or the server had paused. */
  noteStuck(): void;
  /** Whether enough of the latest early sends helped to conclude that packets are being lost, rather than that names are slow. */
  areHelping(): boolean;
}

/** How many questions pay for one early send that does not help. */
const questionsPerSend = 5;

/** How many early sends may come at once. */
const burst = 20;

/** The weight of the latest early send in the share of those that helped. */
const newestWeight = 1 / 8;

/** From this share on, packets count as being lost: two early sends in a row are enough. */
const helpedShare = 0.2;

/** Without loss nothing is sent early that would show it: so the conclusion ends this long after the last send that helped. */
const lossLastsMs = 10_000;

/** Creates a full budget. */
export function createEarlySends(clock: Clock): EarlySends {
  let room = burst;
  // The share of the latest early sends that helped, as a moving average.
  let helped = 0;
  let helpedAtMs = -Infinity;
  const noteLoss = () => {
    helped += newestWeight;
    helpedAtMs = clock.nowMs();
  };
  const add = (sends: number) => void (room = Math.min(burst, room + sends));
  return {
    noteQuestion: () => add(1 / questionsPerSend),
    take() {
      if (room < 1) return false;
      room -= 1;
      helped *= 1 - newestWeight;
      return true;
    },
    noteHelped(sends, wasQuick) {
      add(sends);
      if (wasQuick) noteLoss();
    },
    noteStuck: noteLoss,
    areHelping: () => helped >= helpedShare && clock.nowMs() - helpedAtMs < lossLastsMs,
  };
}
