/*
 * What nodens says of itself above what is seen: its state, and for how long that has been so.
 */
import { hostname } from "node:os";
import { attachModes } from "../attach/modes.ts";
import type { TopHead } from "../seen/top-head.ts";
import type { Settings } from "../settings/settings-table.ts";
import type { AppParts } from "./app-parts.ts";

/** The parts that the head tells of. */
export type HeadParts = Pick<AppParts, "clock" | "readiness"> & {
  readonly attachment: Pick<AppParts["attachment"], "isFailOpen" | "isComplete">;
  readonly reload: Pick<AppParts["reload"], "counters">;
};

/** The head of the views. */
export interface Head {
  head(): TopHead;
  /** Looks whether everything is in place. To be called every second or so. */
  look(nowMs: number): void;
}

/** Begins it, for a nodens that runs `version` since now. */
export function createHead(parts: HeadParts, settings: Settings, version: string): Head {
  const { clock, readiness, attachment, reload } = parts;
  const { mode } = settings.attach;
  const { placesAddresses, intercepts } = attachModes[mode];
  const putsThings = placesAddresses || intercepts;
  const startedAtMs = clock.nowMs();
  let inForceSinceMs: number | undefined;

  function look(nowMs: number): void {
    const isInForce = putsThings && attachment.isComplete() && !attachment.isFailOpen();
    inForceSinceMs = isInForce ? (inForceSinceMs ?? nowMs) : undefined;
  }

  return {
    look,
    head() {
      const nowMs = clock.nowMs();
      look(nowMs);
      return {
        version,
        node: process.env["NODE_NAME"] ?? hostname(),
        mode,
        isReady: readiness().ready,
        isFailOpen: attachment.isFailOpen(),
        inForceSeconds: inForceSinceMs === undefined ? undefined : Math.floor((nowMs - inForceSinceMs) / 1000),
        settingsSeconds: Math.floor((nowMs - reload.counters.inForceSinceMs) / 1000),
        upSeconds: Math.floor((nowMs - startedAtMs) / 1000),
      };
    },
  };
}
