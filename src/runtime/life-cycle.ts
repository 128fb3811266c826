/*
 * The states of the process: starting → ready → draining → gone. It never goes back to an earlier one.
 */

/** A state of the process. */
export type LifeState = "starting" | "ready" | "draining" | "gone";

/** The state of the process, and why it is not "ready". */
export interface LifeCycle {
  /** The current state. */
  state(): LifeState;
  /** Why the process is not ready, in words for people; empty when it is ready. */
  reasons(): string[];
  /** Sets the reason while starting: what is still missing. Does nothing in any other state. */
  explain(reason: string): void;
  /** From starting to ready. Returns false, and changes nothing, in any other state. */
  becomeReady(): boolean;
  /** To draining, unless the process is gone. */
  drain(): void;
  /** To gone. */
  end(): void;
}

/** Creates the life cycle of a process that is starting. */
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
