/*
 * How late the event loop is: a timer compares when it was due with when it runs. Late timers mean late
 * answers, for every client at once.
 */
import type { Clock } from "../runtime/clock.ts";
import { createHistogram, type Histogram, observe, timeBoundsSeconds } from "../runtime/histogram.ts";

/** Rarely enough to cost nothing, often enough that five minutes hold 6,000 values for a 99th percentile. */
const intervalMs = 50;

/** Starts measuring. `delays` is in seconds; up to a millisecond of it is the rounding of timers. `close` ends it. */
export function watchEventLoopDelay(clock: Clock): { readonly delays: Histogram; close(): void } {
  const delays = createHistogram(timeBoundsSeconds);
  let cancel = schedule();

  function schedule(): () => void {
    const dueMs = clock.nowMs() + intervalMs;
    return clock.after(intervalMs, () => {
      observe(delays, Math.max(0, clock.nowMs() - dueMs) / 1000);
      cancel = schedule();
    });
  }

  return { delays, close: () => cancel() };
}
