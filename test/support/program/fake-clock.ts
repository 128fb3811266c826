/* A clock that moves only when a test says so. */
import type { Clock } from "../../../src/runtime/clock.ts";

/** A Clock that starts at `startMs` and runs timers, in order, while `advance` moves it. */
export interface FakeClock extends Clock {
  /** Moves time by `ms`, running every timer that becomes due at its own moment, then lets pending promises settle. */
  advance(ms: number): Promise<void>;
  /** How many timers are waiting: a leak shows here. */
  pendingTimers(): number;
}

/** Creates a fake clock. Not 0 by default, so that code which takes 0 for "never" is found out. */
export function createFakeClock(startMs = 1_000_000): FakeClock {
  let nowMs = startMs;
  let sequence = 0;
  const timers = new Map<number, { dueMs: number; action: () => void }>();

  function nextDue(limitMs: number): number | undefined {
    let best: number | undefined;
    for (const [id, timer] of timers) {
      if (timer.dueMs > limitMs) continue;
      if (best === undefined || timer.dueMs < (timers.get(best)?.dueMs ?? Infinity)) best = id;
    }
    return best;
  }

  function after(delayMs: number, action: () => void): () => void {
    const id = sequence++;
    timers.set(id, { dueMs: nowMs + Math.max(0, delayMs), action });
    return () => void timers.delete(id);
  }

  return {
    nowMs: () => nowMs,
    // The kernel's stamps are of the machine's clock.
    wallMs: () => Date.now(),
    after,
    pause: (delayMs) => new Promise((resolve) => after(delayMs, resolve)),
    // No packet of these tests lies unread.
    afterIo: (action) => queueMicrotask(action),
    async advance(ms) {
      const limitMs = nowMs + ms;
      for (let id = nextDue(limitMs); id !== undefined; id = nextDue(limitMs)) {
        const timer = timers.get(id);
        timers.delete(id);
        if (timer === undefined) continue;
        nowMs = Math.max(nowMs, timer.dueMs);
        timer.action();
        await settle();
      }
      nowMs = limitMs;
      await settle();
    },
    pendingTimers: () => timers.size,
  };
}

/** Lets promise reactions run until none is left to start another. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
}
