/*
 * Since when a flow owes an answer and says nothing, and when that is too long. A slow name is not a dead flow: a flow that has
 * answered before is asked something easy first, and left when it says nothing to that either.
 */
import type { Clock } from "../runtime/clock.ts";
import type { RoundTrip } from "./round-trip.ts";

/** What is told of a flow. */
export interface SilenceEvents {
  /** It says nothing for longer than the path's round trip allows: ask it something easy. */
  onQuiet(): void;
  /** It said nothing to that either, or never said anything. */
  onSilent(): void;
}

/** Watches one flow. */
export interface SilenceWatch {
  /** A question left. */
  noteSent(): void;
  /** The flow said something. `isOwing`: it still owes an answer; `isOwn`: it only answered what nodens itself had asked. */
  noteHeard(isOwing: boolean, isOwn: boolean): void;
  /** It was connected: what waited for that is owed from now on. */
  noteOpened(): void;
  /** Whether it owes an answer and has been left. */
  isSilent(): boolean;
  close(): void;
}

/** A timer that is so late says that the process stood still. */
const lateMs = 20;

/** A server that is busy for a moment is not gone. Twice as long, for two flows one after the other, is nothing to a client. */
const leastQuietMs = 60;

/** A flow that answers easy questions and owes another one is asked ever more rarely, up to this. */
const longestQuietMs = 1000;

/** Creates a watch over a flow that owes nothing. */
export function watchSilence(clock: Clock, roundTrip: RoundTrip, events: SilenceEvents): SilenceWatch {
  // Questions that were taken back are owed all the same: the flow does not know of it.
  let owesSinceMs: number | undefined;
  let state: "fine" | "quiet" | "silent" = "fine";
  let hasSpoken = false;
  let ownAnswers = 0;
  let isClosed = false;
  let timer: { readonly dueMs: number; readonly cancel: () => void } | undefined;

  function allowedMs(): number {
    const silenceMs = roundTrip.silenceMs();
    if (state === "quiet") return Math.max(silenceMs, leastQuietMs);
    return Math.max(silenceMs, Math.min(longestQuietMs, silenceMs * 2 ** ownAnswers));
  }

  /** One timer for all questions, which looks again when it finds that something came meanwhile. */
  function watch(): void {
    if (owesSinceMs === undefined || state === "silent" || isClosed) return;
    const dueMs = owesSinceMs + allowedMs();
    if (timer !== undefined && timer.dueMs <= dueMs) return;
    timer?.cancel();
    const cancel = clock.after(Math.max(0, dueMs - clock.nowMs()), () => {
      const wasLate = clock.nowMs() - dueMs > lateMs;
      // What lies in the socket counts before the timer that is due in the same turn.
      clock.afterIo(() => look(wasLate));
    });
    timer = { dueMs, cancel };
  }

  function look(wasLate: boolean): void {
    timer = undefined;
    if (isClosed || owesSinceMs === undefined) return;
    // While nobody looked, nobody was silent.
    if (wasLate) owesSinceMs = clock.nowMs();
    if (clock.nowMs() < owesSinceMs + allowedMs()) {
      watch();
    } else if (state === "fine" && hasSpoken) {
      state = "quiet";
      owesSinceMs = clock.nowMs();
      watch();
      events.onQuiet();
    } else {
      state = "silent";
      events.onSilent();
    }
  }

  function restart(isOwing: boolean): void {
    state = "fine";
    owesSinceMs = isOwing ? clock.nowMs() : undefined;
    watch();
  }

  return {
    noteSent() {
      owesSinceMs ??= clock.nowMs();
      watch();
    },
    noteHeard(isOwing, isOwn) {
      hasSpoken = true;
      ownAnswers = isOwn ? ownAnswers + 1 : 0;
      restart(isOwing);
    },
    noteOpened: () => restart(owesSinceMs !== undefined),
    isSilent: () => state === "silent",
    close() {
      isClosed = true;
      timer?.cancel();
    },
  };
}
