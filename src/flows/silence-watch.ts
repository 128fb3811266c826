/*
 * Watches since when a flow has owed an answer and said nothing, and decides when that is too long. A slow name is not a dead flow: a flow
 * that has answered before is first asked something easy, and left only if it does not answer that either.
 */
import type { Clock } from "../runtime/clock.ts";
import type { RoundTrip } from "./round-trip.ts";

/** What a watch reports about its flow. */
export interface SilenceEvents {
  /** The flow has been silent for longer than the path's round trip allows: ask it something easy. */
  onQuiet(): void;
  /** The flow did not answer that either, or has never answered anything. */
  onSilent(): void;
}

/** Watches one flow. */
export interface SilenceWatch {
  /** A question has left. */
  noteSent(): void;
  /** The flow has answered. `isOwing`: it still owes another answer; `isOwn`: it only answered one of nodens's own questions. */
  noteHeard(isOwing: boolean, isOwn: boolean): void;
  /** The flow is connected: answers to what waited for that are owed from now on. */
  noteOpened(): void;
  /** Whether the flow owes an answer and has been reported silent. */
  isSilent(): boolean;
  /** Stops watching. */
  close(): void;
}

/** A timer that is later than this shows that the process stood still. */
export const stoodStillMs = 20;

/** A server that is busy for a moment is not gone. Twice this, for two flows one after the other, is nothing to a client. */
const leastQuietMs = 60;

/** A flow that answers easy questions but owes an answer to another is asked less and less often, down to once in this time. */
const longestQuietMs = 1000;

/** Creates a watch over a flow that owes nothing. */
export function watchSilence(clock: Clock, roundTrip: RoundTrip, events: SilenceEvents): SilenceWatch {
  // Cancelled questions still count as owed: the other side does not know that they were cancelled.
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

  /** One timer for all questions, which is set again if something came in the meantime. */
  function watch(): void {
    if (owesSinceMs === undefined || state === "silent" || isClosed) return;
    const dueMs = owesSinceMs + allowedMs();
    if (timer !== undefined && timer.dueMs <= dueMs) return;
    timer?.cancel();
    const cancel = clock.after(Math.max(0, dueMs - clock.nowMs()), () => {
      const wasLate = clock.nowMs() - dueMs > stoodStillMs;
      // What is already in the socket counts before a timer that is due in the same turn.
      clock.afterIo(() => look(wasLate));
    });
    timer = { dueMs, cancel };
  }

  function look(wasLate: boolean): void {
    timer = undefined;
    if (isClosed || owesSinceMs === undefined) return;
    // While the process stood still it could not have heard anything.
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
