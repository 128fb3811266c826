/*
 * Two files for the probes of a pod, which a shell can check at almost no cost: `ready` exists while nodens is ready, `alive` was last
 * changed in the last second in which the event loop ran. Nothing else ends up in `alive`: a restart cures only a loop that hangs, while
 * missing sockets, a busy node and a silent upstream get better by themselves or not at all.
 */
import { mkdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Clock, toNextBeatMs, wallTime } from "../runtime/clock.ts";

/** Where the files are, and what they say. */
export interface ProbeFileOptions {
  readonly directory: string;
  isReady(): boolean;
  readonly clock: Clock;
  /** Called once when the files cannot be written, and again only after a write has succeeded. */
  onError(error: Error): void;
}

const intervalMs = 1000;

/** Keeps the files up to date until the returned function is called, which removes `ready`. */
export function keepProbeFiles({ directory, isReady, clock, onError }: ProbeFileOptions): () => void {
  const ready = join(directory, "ready");
  const alive = join(directory, "alive");
  let isBroken = false;
  let cancel = clock.after(0, update);
  // Left by an earlier process in the same place.
  attempt(() => rmSync(ready, { force: true }));

  function update(): void {
    attempt(() => {
      mkdirSync(directory, { recursive: true });
      touch(alive);
      if (isReady()) touch(ready);
      else rmSync(ready, { force: true });
    });
    cancel = clock.after(toNextBeatMs(clock, intervalMs), update);
  }

  function attempt(write: () => void): void {
    try {
      write();
      isBroken = false;
    } catch (error) {
      if (!isBroken) onError(error as Error);
      isBroken = true;
    }
  }

  return () => {
    cancel();
    attempt(() => rmSync(ready, { force: true }));
  };
}

function touch(path: string): void {
  const now = wallTime();
  try {
    utimesSync(path, now, now);
  } catch {
    writeFileSync(path, "");
  }
}
