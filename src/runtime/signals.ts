/*
 * Signals from people and from kubelet.
 */
import type { Clock } from "./clock.ts";

/** What signals ask for. */
export interface SignalActions {
  /** The first SIGTERM or SIGINT. */
  stop(signal: "SIGTERM" | "SIGINT"): void;
  /** A later one: whoever sends it does not want to wait. */
  stopAtOnce(): void;
  reload(): void;
}

/**
 * Ctrl-C reaches nodens twice when npm started it: from the terminal, and passed on by npm. Signals so close together are one.
 */
const sameSignalMs = 1000;

/** Calls `actions` on SIGTERM, SIGINT and SIGHUP. Returns a function that stops listening for them. */
export function handleSignals(actions: SignalActions, clock: Clock): () => void {
  let stoppedAtMs: number | undefined;
  function onStop(signal: "SIGTERM" | "SIGINT"): void {
    if (stoppedAtMs === undefined) {
      stoppedAtMs = clock.nowMs();
      actions.stop(signal);
    } else if (clock.nowMs() - stoppedAtMs > sameSignalMs) {
      actions.stopAtOnce();
    }
  }
  const handlers = {
    SIGTERM: () => onStop("SIGTERM"),
    SIGINT: () => onStop("SIGINT"),
    SIGHUP: () => actions.reload(),
  };
  for (const [signal, handler] of Object.entries(handlers)) process.on(signal, handler);
  return () => {
    for (const [signal, handler] of Object.entries(handlers)) process.off(signal, handler);
  };
}
