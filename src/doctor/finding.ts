/*
 * What the doctor says: one finding for each thing that was looked at, the worst first.
 */

/** How it is. `unknown` is for what this process may not see. */
export const findingStates = ["bad", "warn", "unknown", "ok"] as const;

/** One of the states. */
export type FindingState = (typeof findingStates)[number];

/** One thing that was looked at. */
export interface Finding {
  /** A short name that stays the same, for programs. */
  readonly check: string;
  readonly state: FindingState;
  /** What was found, with its number, on one line. For `unknown`, what is missing to look. */
  readonly found: string;
  /** Why that matters; left out where all is well. */
  readonly why?: string;
  /** Lines to paste, or to do. */
  readonly cure?: readonly string[];
  /** Where it is explained, below docs/. */
  readonly link?: string;
}

/** The findings in the order in which they are told. */
export function worstFirst(findings: readonly Finding[]): Finding[] {
  return findings.toSorted((one, other) => findingStates.indexOf(one.state) - findingStates.indexOf(other.state));
}
