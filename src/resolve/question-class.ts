/*
 * On whose behalf, and why, a question is asked.
 */

/** The classes of questions, the most important first. */
export const questionClasses = ["client", "parent", "prefetch", "check"] as const;

/**
 * `client`: a name that a client waits for. `parent`: a parent whose denial may make that question unnecessary. `prefetch`: an entry that
 * is about to expire. `check`: something that nodens wants to know for itself.
 */
export type QuestionClass = (typeof questionClasses)[number];

/** On whose behalf a question is asked. */
export interface OnBehalf {
  readonly class: QuestionClass;
  /** The client's address; empty for nodens itself. */
  readonly client: string;
}

/** Whether a client waits for the outcome of questions of this class. */
export function isForClient(name: QuestionClass): name is "client" | "parent" {
  return name === "client" || name === "parent";
}
