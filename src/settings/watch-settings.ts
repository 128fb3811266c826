/*
 * Notices that the settings file changed: rewritten, renamed over, or, in a ConfigMap volume, swapped as a whole:
 *
 *     nodens.yaml -> ..data/nodens.yaml      stays
 *     ..data      -> ..2026_11_02/           renamed over in one step; nodens.yaml itself sees no event
 *
 * Hence the folder is watched, and only content decides whether there was a change. Knows nothing of settings.
 */
import { readFileSync, watch, type FSWatcher } from "node:fs";
import { dirname } from "node:path";
import type { Clock } from "../runtime/clock.ts";

/** Quiet time after the last sign of a change before the file is read: writers need several calls. */
export const settleMs = 200;

/** How often the file is read without any sign: inotify can run out of watches, and sees no change behind a symlink. */
export const pollIntervalMs = 10_000;

/** What receives changes, and the clock. */
export interface WatchOptions {
  /** Called once per completed change with the new content, or with undefined when the file can no longer be read. */
  readonly onChange: (content: string | undefined) => void;
  readonly clock: Clock;
}

/**
 * Watches the file, from the content that it has now: start right after loading. Never throws, whether or not file and folder
 * exist. After `close`, nothing is called.
 */
export function watchSettings(filePath: string, { onChange, clock }: WatchOptions): { close(): void } {
  let known = readOrUndefined(filePath);
  let cancelSettling = (): void => {};
  let cancelPoll = (): void => {};
  const watcher = watchFolder(dirname(filePath), settle);

  function settle(): void {
    cancelSettling();
    cancelSettling = clock.after(settleMs, compare);
  }

  function compare(): void {
    const content = readOrUndefined(filePath);
    if (content === known) return;
    known = content;
    onChange(content);
  }

  function poll(): void {
    // A difference found here may be half written: it has to settle like any other.
    if (readOrUndefined(filePath) !== known) settle();
    cancelPoll = clock.after(pollIntervalMs, poll);
  }

  cancelPoll = clock.after(pollIntervalMs, poll);
  return {
    close() {
      watcher?.close();
      cancelSettling();
      cancelPoll();
    },
  };
}

/** Undefined where the folder cannot be watched; the poll then works alone. */
function watchFolder(folder: string, onEvent: () => void): FSWatcher | undefined {
  try {
    const watcher = watch(folder, { persistent: false }, onEvent);
    return watcher.on("error", () => watcher.close());
  } catch {
    return undefined;
  }
}

function readOrUndefined(filePath: string): string | undefined {
  try {
    return readFileSync(filePath, "utf8");
  } catch {
    return undefined;
  }
}
