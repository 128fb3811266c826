/*
 * A clock for millions of timers: time jumps from one moment at which something is due to the next. Moments are whole ticks, and
 * what is due at one tick runs together, so that promises are settled once a tick and not once a timer.
 */
import type { Clock } from "../../src/runtime/clock.ts";

/** A Clock that moves only while it runs. It starts at 0. */
export interface EventClock extends Clock {
  /** Runs everything that is due before `untilMs`, each at its own moment, with all promises settled before time goes on. */
  run(untilMs: number): Promise<void>;
}

/** How finely time is divided: well below the time that a packet takes to kube-dns. */
const tickMs = 0.25;

interface Timer {
  action: (() => void) | undefined;
}

/** Creates a clock with nothing to do. */
export function createEventClock(): EventClock {
  const timersOf = new Map<number, Timer[]>();
  const ticks = createTickHeap();
  let tick = 0;

  function add(dueTick: number, timer: Timer): void {
    const timers = timersOf.get(dueTick);
    if (timers !== undefined) {
      timers.push(timer);
      return;
    }
    timersOf.set(dueTick, [timer]);
    ticks.push(dueTick);
  }

  function after(delayMs: number, action: () => void): () => void {
    const timer: Timer = { action };
    add(tick + Math.ceil(Math.max(0, delayMs) / tickMs), timer);
    return () => void (timer.action = undefined);
  }

  async function runTick(timers: readonly Timer[]): Promise<void> {
    for (let next = 0; next < timers.length;) {
      // What these start at once is appended, and runs in this tick too.
      for (; next < timers.length; next += 1) {
        const timer = timers[next] as Timer;
        const { action } = timer;
        timer.action = undefined;
        action?.();
      }
      // Promises have all settled when an immediate runs.
      await new Promise<void>((resolve) => void setImmediate(resolve));
    }
  }

  return {
    nowMs: () => tick * tickMs,
    wallMs: () => tick * tickMs,
    after,
    pause: (delayMs) => new Promise((resolve) => void after(delayMs, resolve)),
    // Packets that arrive at this tick are in its list already.
    afterIo: (action) => void after(0, action),
    async run(untilMs) {
      const endTick = Math.ceil(untilMs / tickMs);
      for (let due = ticks.first(); due !== undefined && due < endTick; due = ticks.first()) {
        tick = due;
        await runTick(timersOf.get(due) ?? []);
        ticks.removeFirst();
        timersOf.delete(due);
      }
      tick = endTick;
    },
  };
}

/** A binary heap of different numbers. */
function createTickHeap() {
  const heap: number[] = [];

  function swap(one: number, other: number): void {
    [heap[one], heap[other]] = [heap[other] as number, heap[one] as number];
  }

  function isBefore(one: number, other: number): boolean {
    return (heap[one] ?? Infinity) < (heap[other] ?? Infinity);
  }

  return {
    first: () => heap[0],
    push(value: number): void {
      heap.push(value);
      for (let at = heap.length - 1; at > 0 && isBefore(at, (at - 1) >> 1); at = (at - 1) >> 1) swap(at, (at - 1) >> 1);
    },
    removeFirst(): void {
      const last = heap.pop();
      if (last === undefined || heap.length === 0) return;
      heap[0] = last;
      for (let at = 0; ;) {
        const child = isBefore(2 * at + 2, 2 * at + 1) ? 2 * at + 2 : 2 * at + 1;
        if (!isBefore(child, at)) return;
        swap(at, child);
        at = child;
      }
    },
  };
}
