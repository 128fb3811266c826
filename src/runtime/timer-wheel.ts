/*
 * Timers for those who set thousands a second and cancel nearly all of them: the deadlines of questions, which are answered long before.
 * Setting one or cancelling it is a change of a list; only the next that is due has a timer of the system's.
 */

/** Timers in great number. */
export interface TimerWheel {
  /**
   * Calls `action` once after `delayMs` milliseconds, never earlier, and about a millisecond later. Returns a function that cancels the
   * call; cancelling twice, or after the call, does nothing. What is due in the same millisecond is called in the order in which it was set.
   */
  after(delayMs: number, action: () => void): () => void;
}

/** A timer in the list of its slot, which is a ring: the first one's `previous` is the last. */
interface Timer {
  readonly dueMs: number;
  readonly action: () => void;
  previous: Timer;
  next: Timer;
  isSet: boolean;
}

/** One for each millisecond of a turn of the wheel. What is due later than in one turn waits in its slot for as many turns. */
const slotCount = 8192;

/** Creates a wheel without timers. `wakeAfter` is the system's timer, for the wheel alone; it returns how to cancel it. */
export function createTimerWheel(
  nowMs: () => number,
  wakeAfter: (delayMs: number, action: () => void) => () => void,
): TimerWheel {
  const slots: (Timer | undefined)[] = Array.from({ length: slotCount });
  let count = 0;
  // All that was due at this moment, a whole number, or before has been called.
  let doneMs = 0;
  let wakesAtMs = Infinity;
  let cancelWake = () => {};

  const slotOf = (ms: number) => ms % slotCount;

  function add(timer: Timer): void {
    const slot = slotOf(timer.dueMs);
    const first = slots[slot];
    count += 1;
    if (first === undefined) {
      slots[slot] = timer;
      return;
    }
    timer.next = first;
    timer.previous = first.previous;
    first.previous.next = timer;
    first.previous = timer;
  }

  function remove(timer: Timer): void {
    if (!timer.isSet) return;
    timer.isSet = false;
    count -= 1;
    const slot = slotOf(timer.dueMs);
    const { previous, next } = timer;
    if (slots[slot] === timer) slots[slot] = next === timer ? undefined : next;
    previous.next = next;
    next.previous = previous;
    // One that is old would keep its younger neighbours in memory.
    timer.previous = timer;
    timer.next = timer;
  }

  /** The first timer of a slot that is due at `ms` or before. */
  function dueIn(slot: number, ms: number): Timer | undefined {
    const first = slots[slot];
    if (first === undefined || first.dueMs <= ms) return first;
    for (let each = first.next; each !== first; each = each.next) if (each.dueMs <= ms) return each;
    return undefined;
  }

  function wake(): void {
    wakesAtMs = Infinity;
    try {
      callDue(Math.floor(nowMs()));
    } finally {
      wakeForNext();
    }
  }

  function callDue(ms: number): void {
    // Once round the wheel is enough, however long the process has stood still. Of the first slot, a timer that threw may have left some.
    for (let at = Math.max(doneMs, ms - slotCount + 1); at <= ms && count > 0; at += 1) {
      doneMs = at;
      const slot = slotOf(at);
      for (let timer = dueIn(slot, ms); timer !== undefined; timer = dueIn(slot, ms)) {
        remove(timer);
        timer.action();
      }
    }
    doneMs = ms;
  }

  /** Timers of later turns may wake the wheel for nothing. */
  function wakeForNext(): void {
    if (count === 0) return;
    let ms = doneMs;
    while (slots[slotOf(ms)] === undefined) ms += 1;
    wakeAt(ms);
  }

  function wakeAt(ms: number): void {
    if (ms >= wakesAtMs) return;
    cancelWake();
    wakesAtMs = ms;
    cancelWake = wakeAfter(Math.max(1, Math.ceil(ms - nowMs())), wake);
  }

  return {
    after(delayMs, action) {
      const now = nowMs();
      // The slots of a time in which nothing was set need not be looked at.
      if (count === 0) doneMs = Math.floor(now);
      const dueMs = Math.max(doneMs + 1, Math.ceil(now + delayMs));
      const timer = createTimer(dueMs, action);
      add(timer);
      wakeAt(dueMs);
      return () => remove(timer);
    },
  };
}

/** A timer that is in a ring of its own. */
function createTimer(dueMs: number, action: () => void): Timer {
  const timer = { dueMs, action, isSet: true } as Timer;
  timer.previous = timer;
  timer.next = timer;
  return timer;
}
