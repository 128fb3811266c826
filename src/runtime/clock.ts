/*
 * Time as an argument. Everything that depends on time is given a Clock or a moment; nothing else in nodens reads a clock.
 */
import { createTimerWheel } from "./timer-wheel.ts";

/** Monotonic time and timers. Moments are milliseconds since an arbitrary start and never go back. */
export interface Clock {
  /** The current moment in milliseconds, monotonic. */
  nowMs(): number;
  /**
   * The wall clock in milliseconds since 1970, which may be set back at any time: only to be compared with the kernel's own stamps, and
   * what comes of it must be bounded by `nowMs`.
   */
  wallMs(): number;
  /**
   * Calls `action` once after `delayMs` milliseconds. Returns a function that cancels the call; cancelling twice, or after the call,
   * does nothing. A pending timer does not keep the process alive: the sockets do that.
   */
  after(delayMs: number, action: () => void): () => void;
  /** Resolves after `delayMs` milliseconds. For waits that nobody cancels. */
  pause(delayMs: number): Promise<void>;
  /**
   * Calls `action` once what is in the sockets now has been read. A timer, by contrast, runs before the packets that came while the
   * process was not running.
   */
  afterIo(action: () => void): void;
}

/** What Node tells the time by. As a global variable it is a getter, which V8 calls anew each time. */
let timeline: Performance | undefined;

/** The process's own monotonic clock, which does not follow changes of the wall clock. */
export const systemClock: Clock = {
  nowMs: () => (timeline ??= performance).now(),
  wallMs: () => Date.now(),
  after(delayMs, action) {
    const timer = setTimeout(action, delayMs);
    timer.unref();
    return () => clearTimeout(timer);
  },
  pause: (delayMs) => new Promise((resolve) => systemClock.after(delayMs, resolve)),
  // A turn of the event loop runs timers, then sockets, then immediates.
  afterIo: (action) => void setImmediate(action),
};

/**
 * How long it is to the next moment of a rhythm that all duties share which are done again and again: one wake of the process serves all
 * that are due, and a wake is much of what a duty costs. Half an interval to one and a half, and a whole one if the last was on time.
 */
export function toNextBeatMs({ nowMs }: Pick<Clock, "nowMs">, intervalMs: number): number {
  const leftMs = intervalMs - (nowMs() % intervalMs);
  // Timers may run a moment early.
  return leftMs < intervalMs / 2 ? leftMs + intervalMs : leftMs;
}

/** The same clock for a server, whose timers are so many that they share one of the system's. */
export function createServerClock(): Clock {
  const { after } = createTimerWheel(systemClock.nowMs, systemClock.after);
  return { ...systemClock, after, pause: (delayMs) => new Promise((resolve) => after(delayMs, resolve)) };
}

/** Resolves after `delayMs` milliseconds, and keeps the process alive until then. For commands, which have no sockets to do that. */
export function pauseAwake(delayMs: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, delayMs));
}

/** Keeps the process alive until the returned function is called: for what has neither a socket of Node's own nor a timer that does. */
export function keepAwake(): () => void {
  const timer = setInterval(() => {}, longestTimerMs);
  return () => clearInterval(timer);
}

const longestTimerMs = 2 ** 31 - 1;

/** The wall clock, for output that others read. Nothing may depend on it, because it may be set back. */
export function wallTime(): Date {
  return new Date();
}

/** When this process started, by the wall clock: seconds since 1970. For output that others read. */
export function processStartSeconds(): number {
  return Date.now() / 1000 - process.uptime();
}
