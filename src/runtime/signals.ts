/*
 * Signals from people and from kubelet.
 */
import type { Clock } from "./clock.ts";

/** What the signals ask the process to do. */
export interface SignalActions {
  /** On the first SIGTERM or SIGINT. */
  stop(signal: "SIGTERM" | "SIGINT"): void;
  /** On a later one: whoever sends it does not want to wait. */
  stopAtOnce(): void;
  /** On every SIGHUP. */
  reload(): void;
}

/**
 * If npm has started nodens, Ctrl-C reaches it twice: from the terminal, and passed on by npm. Signals this close together are one.
 */
const sameSignalMs = 1000;

/** Calls `actions` on SIGTERM, SIGINT and SIGHUP of this process. Returns a function that stops listening for them. */
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
