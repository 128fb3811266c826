/*
 * Notices replies that the kernel refuses to send: a firewall rule of the node drops what nodens says to pods. Whoever has no other
 * switch to fall back on is told so by this, and by nothing else.
 */
import type { ListenCounters } from "../listen/listen-counters.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Log } from "../runtime/log.ts";

/** What is watched. */
export interface RefusalWatchParts {
  readonly clock: Clock;
  readonly log: Log;
  counters(): readonly Pick<ListenCounters, "unsent">[];
  /** Whether nodens has ended. */
  isOver(): boolean;
}

const lookMs = 5000;
/** Without a refusal for so long, it is over. */
const quietMs = 60_000;

/** Watches until nodens ends. Never rejects. */
export async function watchForRefusals({ clock, log, counters, isOver }: RefusalWatchParts): Promise<void> {
  let before = 0;
  let lastSeenMs: number | undefined;
  while (!isOver()) {
    const refused = counters().reduce((sum, { unsent }) => sum + unsent.forbidden, 0);
    if (refused > before) {
      const message =
        "the kernel refuses to send replies to pods (EPERM): a firewall rule of this node drops them, perhaps because they are not tracked";
      if (lastSeenMs === undefined) log.warn({ refused: refused - before }, message);
      lastSeenMs = clock.nowMs();
    } else if (lastSeenMs !== undefined && clock.nowMs() - lastSeenMs >= quietMs) {
      log.info({ refused }, "replies to pods are no longer refused");
      lastSeenMs = undefined;
    }
    before = refused;
    await clock.pause(lookMs);
  }
}
