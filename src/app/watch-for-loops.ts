/*
 * Finds out whether what is forwarded comes back: every route is asked a question that only nodens can know, and asked again for as long as
 * it comes back.
 */
import type { LoopGuard } from "../resolve/loop-guard.ts";
import type { Clock } from "../runtime/clock.ts";
import type { LifeCycle } from "../runtime/life-cycle.ts";
import type { Log } from "../runtime/log.ts";
import { describeServers, type LiveUpstream } from "./live-upstream.ts";

/** What is watched, and what that needs. */
export interface LoopWatchParts {
  readonly upstream: LiveUpstream;
  readonly loopGuard: LoopGuard;
  readonly lifeCycle: LifeCycle;
  /** The cluster zone (folded, wire form). */
  readonly zone: Uint8Array;
  readonly clock: Clock;
  readonly log: Log;
}

const roundMs = 10_000;

/** Creates a watch. Each call looks once, and goes on as long as there is a loop; a call during that does nothing. Never rejects. */
export function createLoopWatch({
  upstream,
  loopGuard,
  lifeCycle,
  zone,
  clock,
  log,
}: LoopWatchParts): () => Promise<void> {
  let isWatching = false;

  async function look(): Promise<void> {
    const wasLooping = loopGuard.isLooping();
    loopGuard.startRound();
    const { routes, ask } = upstream.inForce();
    await Promise.all(
      routes.map(({ zones: [first = zone] }) => new Promise((tell) => ask(loopGuard.probeFor(first), tell))),
    );
    loopGuard.endRound();
    if (loopGuard.isLooping() && !wasLooping)
      log.error({ upstream: describeServers(routes) }, "the upstream leads back to nodens; nothing is forwarded");
    if (wasLooping && !loopGuard.isLooping()) log.info({}, "the upstream no longer leads back to nodens");
  }

  return async () => {
    if (isWatching) return;
    isWatching = true;
    while (lifeCycle.state() === "starting" || lifeCycle.state() === "ready") {
      const asked = upstream.inForce();
      await look();
      if (!loopGuard.isLooping() && asked === upstream.inForce()) break;
      await clock.pause(roundMs);
    }
    isWatching = false;
  };
}
