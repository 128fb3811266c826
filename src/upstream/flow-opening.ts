/*
 * When the next flow of a path may be opened. A path that works is not held up; one on which nothing is proven is tried a few times at once,
 * since there are several pods behind one address, and then less and less often.
 */
import type { Clock } from "../runtime/clock.ts";
import type { LossReason } from "../flows/loss-reason.ts";

/** The schedule of one path. */
export interface FlowOpening {
  /** Whether a flow may be opened now. */
  mayOpen(): boolean;
  /** Takes one opening ahead of need out of the budget, or returns false if there is none left: under loss, flows come and go. */
  takeSpare(): boolean;
  /** How long until `mayOpen`; 0 if it already is. */
  waitMs(): number;
  /** A flow was proven. */
  noteProven(): void;
  /** A flow that was not proven came to nothing. Returns whether this makes the path count as failed. */
  noteFailure(reason: LossReason): boolean;
  /** Whether nothing works here, as far as is known. */
  isFailed(): boolean;
  /** Whether something went wrong since a flow was last proven. */
  isTroubled(): boolean;
}

/** How many flows may fail before there is a pause. */
const triesAtOnce = 2;

const firstPauseMs = 100;

/** How many flows may be opened ahead of need at once, and how long until there may be one more. */
const spareBurst = 4;
const sparePauseMs = 500;

/** When a path counts as failed, and how often it is tried then (settings: upstream.health). */
export interface OpeningLimits {
  /** Failures in a row; a single closed port is enough too. */
  readonly failuresUntilDown: number;
  /** The first pause between two tries of a failed path; it doubles up to `maxBackoffMs`. */
  readonly probeIntervalMs: number;
  readonly maxBackoffMs: number;
}

/** Creates the schedule of a path on which nothing has been tried. */
export function scheduleOpening(clock: Clock, limits: OpeningLimits): FlowOpening {
  let failures = 0;
  let isFailed = false;
  let notBeforeMs = -Infinity;
  let spares = spareBurst;
  let sparesAtMs = clock.nowMs();

  return {
    mayOpen: () => clock.nowMs() >= notBeforeMs,
    takeSpare() {
      const nowMs = clock.nowMs();
      spares = Math.min(spareBurst, spares + (nowMs - sparesAtMs) / sparePauseMs);
      sparesAtMs = nowMs;
      if (nowMs < notBeforeMs || spares < 1) return false;
      spares -= 1;
      return true;
    },
    waitMs: () => Math.max(0, notBeforeMs - clock.nowMs()),
    noteProven() {
      failures = 0;
      isFailed = false;
      notBeforeMs = -Infinity;
    },
    noteFailure(reason) {
      if (reason === "stopped") return false;
      failures += 1;
      const pauseMs =
        failures < limits.failuresUntilDown
          ? firstPauseMs
          : Math.min(limits.probeIntervalMs * 2 ** (failures - limits.failuresUntilDown), limits.maxBackoffMs);
      const jitter = 0.75 + 0.5 * Math.random();
      if (failures >= triesAtOnce || reason === "exhausted") notBeforeMs = clock.nowMs() + pauseMs * jitter;
      // What this node has run out of says nothing about the server.
      if (isFailed || reason === "exhausted") return false;
      isFailed = failures >= limits.failuresUntilDown || reason === "refused";
      return isFailed;
    },
    isFailed: () => isFailed,
    isTroubled: () => failures > 0,
  };
}
