/* The files that probes of the pod look at, from the first moment on: a start that takes long, or waits for something, is not a hang. */
import { keepProbeFiles } from "../observe/probe-files.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Log } from "../runtime/log.ts";
import type { Settings } from "../settings/settings-table.ts";
import type { Readiness } from "./become-ready.ts";

/** Keeps the probe files, if the settings name a folder for them. The returned function ends that and removes `ready`. */
export function keepProbes({ probes }: Settings, readiness: () => Readiness, clock: Clock, log: Log): () => void {
  const { directory } = probes;
  if (directory === "") return () => {};
  return keepProbeFiles({
    directory,
    isReady: () => readiness().ready,
    clock,
    onError: (error) => log.warn({ directory, err: error }, "cannot write the probe files"),
  });
}
