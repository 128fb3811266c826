/*
 * How late the event loop is: a timer compares when it was due with when it runs. Late timers mean late
 * answers, for every client at once.
 */
import { type Clock, toNextBeatMs } from "../runtime/clock.ts";
import { createHistogram, type Histogram, observe, timeBoundsSeconds } from "../runtime/histogram.ts";

/**
 * At rest this is most of what wakes the process, so it is rare; often enough that five minutes hold 1,200 values for a 99th percentile, and
 * that nothing is missed for which a client would ask again.
 */
const intervalMs = 250;

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
