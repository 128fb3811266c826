/*
 * Counts that fade: every ten seconds they are multiplied so that half is left after a minute. What is left of a steady stream of events tells
 * its rate.
 */

/** Fades the columns it was created with. */
export interface Decay {
  /** Fades as often as is due. To be called every second or so. */
  fade(nowMs: number): void;
  /** What a count has to be divided by for events a second. */
  secondsPerCount(nowMs: number): number;
}

const stepMs = 10_000;
const halfLifeMs = 60_000;
const factor = 0.5 ** (stepMs / halfLifeMs);

/** Creates the decay of `columns`, which begins at its first `fade`. */
export function createDecay(columns: readonly Float32Array[]): Decay {
  let startedAtMs = -1;
  let fadedAtMs = 0;

  function fade(nowMs: number): void {
    if (startedAtMs < 0) startedAtMs = fadedAtMs = nowMs;
    for (; nowMs - fadedAtMs >= stepMs; fadedAtMs += stepMs) {
      for (const column of columns)
        for (let row = 0; row < column.length; row += 1) column[row] = (column[row] as number) * factor;
    }
  }

  /** Steps of one a second: the sum of all that is left of the steps so far, and of the step that has begun. */
  function secondsPerCount(nowMs: number): number {
    if (startedAtMs < 0) return 1;
    const steps = (fadedAtMs - startedAtMs) / stepMs;
    const left = (factor * (1 - factor ** steps)) / (1 - factor);
    return Math.max(1, (left * stepMs + (nowMs - fadedAtMs)) / 1000);
  }

  return { fade, secondsPerCount };
}
