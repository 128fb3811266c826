/*
 * The end of a running nodens, in the reverse order of its start: pods first, then what waits, then everything else.
 */
import type { Admin } from "./open-admin.ts";
import type { AppParts } from "./start-app.ts";

/** Two ways to end. Neither rejects; calling one after the other is allowed. */
export interface Stop {
  /**
   * Says "not ready", goes on answering for `lameDuckMs` (as long as `shutdown.drainMs` says unless given), answers what was received,
   * closes everything.
   */
  stop(lameDuckMs?: number): Promise<void>;
  /** Closes everything now. */
  close(): Promise<void>;
}

const drainPollMs = 20;

/** Creates the end of these parts; without `admin` where that was not opened yet. */
export function createStop(parts: AppParts & { readonly admin?: Admin }): Stop {
  const { log, clock, lifeCycle, upstream, chain, sockets, attachment, reload, admin } = parts;

  async function close(): Promise<void> {
    lifeCycle.end();
    await attachment.close();
    await sockets.close();
    await upstream.close();
    await admin?.close();
  }

  return {
    async stop(lameDuckMs = reload.inForce().shutdown.drainMs) {
      log.info({ lameDuckMs }, "ending");
      lifeCycle.drain();
      admin?.endProbes();
      await attachment.release();
      await clock.pause(lameDuckMs);
      await sockets.leave();
      const giveUpAtMs = clock.nowMs() + reload.inForce().upstream.deadlineMs;
      while (chain.shared.waiterCount() > 0 && clock.nowMs() < giveUpAtMs) await clock.pause(drainPollMs);
      await close();
    },
    close,
  };
}
