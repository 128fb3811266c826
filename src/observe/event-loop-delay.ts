/*
 * How late the event loop is: a timer compares when it was due with when it runs. Late timers mean late
 * answers, for every client at once.
 */
import { type Clock, toNextBeatMs } from "../runtime/clock.ts";
import { createHistogram, type Histogram, observe, timeBoundsSeconds } from "../runtime/histogram.ts";

/** Rarely enough to cost little at rest, often enough that five minutes hold 3,000 values for a 99th percentile. */
const intervalMs = 100;

/** Starts measuring. `delays` is in seconds; up to a millisecond of it is the rounding of timers. `close` ends it. */
export function watchEventLoopDelay(clock: Clock): { readonly delays: Histogram; close(): void } {
  const delays = createHistogram(timeBoundsSeconds);
  let cancel = schedule();

  function schedule(): () => void {
    const delayMs = toNextBeatMs(clock, intervalMs);
    const dueMs = clock.nowMs() + delayMs;
    return clock.after(delayMs, () => {
      observe(delays, Math.max(0, clock.nowMs() - dueMs) / 1000);
      cancel = schedule();
    });
  }

  return { delays, close: () => cancel() };
}
