/*
 * Whether a server is worth asking first. A time-out counts against it only if it said nothing at all since that query left:
 * one slow name must not take a server down. A server that is down is asked by probes, with back-off and jitter, and by
 * clients only when no other is up: better a last try than a black hole.
 */
import type { Clock } from "../runtime/clock.ts";
import type { LossReason } from "./flow.ts";

/** Limits (settings: upstream.health). */
export interface HealthLimits {
  readonly failuresUntilDown: number;
  readonly probeIntervalMs: number;
  readonly maxBackoffMs: number;
}

/** What is known of one server. */
export interface ServerHealth {
  isUp(): boolean;
  /** Whether it ever answered anything. */
  hasAnswered(): boolean;
  noteReply(): void;
  noteLoss(reason: LossReason, sentAtMs: number): void;
  /** Stops probing. */
  close(): void;
}

/**
 * Watches one server. `probe` asks it something and says whether it replied; `onChange` is told when the server goes down and
 * when it comes back.
 */
export function watchServerHealth(
  limits: HealthLimits,
  clock: Clock,
  probe: () => Promise<boolean>,
  onChange: (isUp: boolean) => void,
): ServerHealth {
  let isUp = true;
  let isClosed = false;
  let failures = 0;
  let lastReplyAtMs = -Infinity;
  let cancelProbe = () => {};

  function scheduleProbe(backoffMs: number): void {
    const jitteredMs = backoffMs * (0.75 + 0.5 * Math.random());
    let isCancelled = false;
    const cancelTimer = clock.after(jitteredMs, () => {
      void probe().then((hasReplied) => {
        // Cancelled: the server has answered meanwhile. It may be down again, and then other probes have begun.
        if (!hasReplied && !isCancelled) scheduleProbe(Math.min(2 * backoffMs, limits.maxBackoffMs));
      });
    });
    cancelProbe = () => {
      isCancelled = true;
      cancelTimer();
    };
  }

  return {
    isUp: () => isUp,
    hasAnswered: () => lastReplyAtMs > -Infinity,
    noteReply() {
      lastReplyAtMs = clock.nowMs();
      failures = 0;
      if (isUp) return;
      isUp = true;
      cancelProbe();
      onChange(true);
    },
    noteLoss(reason, sentAtMs) {
      const saysNothingOfTheServer = reason === "stopped" || reason === "exhausted" || reason === "forgery";
      if (saysNothingOfTheServer || lastReplyAtMs > sentAtMs || isClosed) return;
      failures += 1;
      if (!isUp || (failures < limits.failuresUntilDown && reason !== "refused")) return;
      isUp = false;
      onChange(false);
      scheduleProbe(limits.probeIntervalMs);
    },
    close() {
      isClosed = true;
      cancelProbe();
    },
  };
}
