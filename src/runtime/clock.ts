/*
 * Time as an argument. Everything that decides by time gets a Clock or a moment; nothing else in nodens reads a clock.
 */

/** Monotonic time and timers. Moments are milliseconds since an arbitrary start; they never go back (RFC 8767 §5 timers, TTLs). */
export interface Clock {
  /** The current moment in milliseconds, monotonic. */
  nowMs(): number;
  /**
   * Calls `action` once after `delayMs` milliseconds. Returns a function that cancels it; cancelling twice, or after it has
   * run, does nothing. A pending timer does not keep the process alive: the sockets do that.
   */
  after(delayMs: number, action: () => void): () => void;
  /** Resolves after `delayMs` milliseconds. For waits that nobody cancels. */
  pause(delayMs: number): Promise<void>;
  /**
   * Calls `action` once what lies in the sockets now has been read: a timer runs before the packets that came while the process
   * stood still.
   */
  afterIo(action: () => void): void;
}

/** The process's own monotonic clock: unmoved by changes of the wall clock. */
export const systemClock: Clock = {
  nowMs: () => performance.now(),
  after(delayMs, action) {
    const timer = setTimeout(action, delayMs);
    timer.unref();
    return () => clearTimeout(timer);
  },
  pause: (delayMs) => new Promise((resolve) => systemClock.after(delayMs, resolve)),
  // Timers, then sockets, then immediates: the order of a turn of the event loop.
  afterIo: (action) => void setImmediate(action),
};

/** Resolves after `delayMs` milliseconds, and keeps the process alive until then. For commands, which have no sockets to do that. */
export function pauseAwake(delayMs: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, delayMs));
}

/** The wall clock, for what others read. Nothing is decided by it: it may be set back. */
export function wallTime(): Date {
  return new Date();
}
