/*
 * The states of the process: starting → ready → draining → gone. It never goes back.
 */

/** One of the four states. */
export type LifeState = "starting" | "ready" | "draining" | "gone";

/** The state, and why it is not "ready". */
export interface LifeCycle {
  state(): LifeState;
  /** Empty when ready. */
  reasons(): string[];
  /** Says what is still missing while starting. */
  explain(reason: string): void;
  /** From starting to ready. False when it was too late for that. */
  becomeReady(): boolean;
  drain(): void;
  end(): void;
}

/** A life that is starting. */
export function createLifeCycle(): LifeCycle {
  let state: LifeState = "starting";
  let reason = "starting";
  return {
    state: () => state,
    reasons: () => (state === "ready" ? [] : [reason]),
    explain(text) {
      if (state === "starting") reason = text;
    },
    becomeReady() {
      if (state !== "starting") return false;
      state = "ready";
      return true;
    },
    drain() {
      if (state === "gone") return;
      state = "draining";
      reason = "draining";
    },
    end() {
      state = "gone";
      reason = "stopped";
    },
  };
}
