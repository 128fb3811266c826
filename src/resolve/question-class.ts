/*
 * For whom a question is asked.
 */

/** The most important first. */
export const questionClasses = ["client", "parent", "prefetch", "check"] as const;

/**
 * `client`: the name that a client waits for. `parent`: what may spare that question. `prefetch`: ahead of an expiry. `check`: what
 * nodens wants to know for itself.
 */
export type QuestionClass = (typeof questionClasses)[number];

/** On whose behalf a question is asked. */
export interface OnBehalf {
  readonly class: QuestionClass;
  /** The client's address; empty for nodens itself. */
  readonly client: string;
}

/** Whether a client waits for what comes of it. */
export function isForClient(name: QuestionClass): name is "client" | "parent" {
  return name === "client" || name === "parent";
}
