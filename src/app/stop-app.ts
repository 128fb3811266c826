/*
 * Stops a running nodens, in the reverse order of its start: pods first, then what waits, then everything else.
 */
import { closingMs } from "../settings/operator-settings.ts";
import type { Admin } from "./open-admin.ts";
import type { AppParts } from "./app-parts.ts";

/** Two ways to stop. Neither rejects; calling one after the other is allowed. */
export interface Stop {
  /**
   * Says "not ready", goes on answering for `lameDuckMs` (default: `shutdown.drainMs`), answers what has been received, and closes
   * everything.
   */
  stop(lameDuckMs?: number): Promise<void>;
  /** Closes everything at once; clients that wait get no answer. */
  close(): Promise<void>;
}

const drainPollMs = 20;

/** Creates the way to stop these parts. */
export function createStop(parts: AppParts & { readonly admin: Admin }): Stop {
  const { log, clock, lifeCycle, upstream, chain, sockets, attachment, reload, admin } = parts;

  async function close(): Promise<void> {
    lifeCycle.end();
    parts.endWatch();
    parts.shadow?.close();
    await attachment.close();
    await sockets.close();
    await upstream.close();
    parts.endProbes();
    await admin.close();
  }

  return {
    async stop(lameDuckMs = reload.inForce().shutdown.drainMs) {
      const startedAtMs = clock.nowMs();
      const { shutdown, upstream: asking } = reload.inForce();
      log.info({ lameDuckMs }, "ending");
      lifeCycle.drain();
      parts.endProbes();
      await attachment.release();
      // Where nodens only watches, nobody has to be told to ask others.
      if (parts.shadow === undefined) await clock.pause(Math.max(0, startedAtMs + lameDuckMs - clock.nowMs()));
      await sockets.leave();
      const closeAtMs = startedAtMs + shutdown.gracePeriodSeconds * 1000 - closingMs / 2;
      const giveUpAtMs = Math.min(clock.nowMs() + asking.deadlineMs, closeAtMs);
      while (chain.shared.waiterCount() > 0 && clock.nowMs() < giveUpAtMs) await clock.pause(drainPollMs);
      await close();
    },
    close,
  };
}
