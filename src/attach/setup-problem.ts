/*
 * What can go wrong when nodens sets up the node. None of it ends nodens: it goes on serving, and tries again.
 */
import { notStarted, type ProgramResult } from "./run-program.ts";

/** The kinds of problem, as metrics count them. */
export const setupProblemKinds = [
  "nft",
  "nft_owner",
  "permission",
  "address",
  "listen",
  "path",
  "admin",
  "pods",
  "unseen",
  "config",
] as const;

/** One of these kinds: see the help of `nodens_setup_errors_total`. */
export type SetupProblemKind = (typeof setupProblemKinds)[number];

/** A problem, for the person who has to solve it: what, with what, why, and what to do. */
export interface SetupProblem {
  readonly kind: SetupProblemKind;
  readonly message: string;
  /** True when pods of this mode do not notice: it is said and counted, but nothing is missing. */
  readonly isMinor?: true;
}

/**
 * The problem behind a program that failed: it is missing, lacks permission, or complains of something else. `kind` is for the
 * last case; `doing` completes "cannot …".
 */
export function problemOfProgram(
  kind: SetupProblemKind,
  program: string,
  doing: string,
  { code, stderr }: ProgramResult,
): SetupProblem {
  if (code === notStarted) {
    return { kind, message: `cannot ${doing}: the program ${program} is not installed (${stderr})` };
  }
  if (isNotPermitted(stderr)) return notPermitted(doing);
  return { kind, message: `cannot ${doing}: ${program} says: ${firstLines(stderr) || exitOf(code)}` };
}

/** Whether a program complains that it lacks permission. */
export function isNotPermitted(complaint: string): boolean {
  return /not permitted|permission denied/i.test(complaint);
}

/** nodens lacks the permission for something; `doing` completes "cannot …". */
export function notPermitted(doing: string): SetupProblem {
  const message = `cannot ${doing}: not permitted; nodens needs the capability NET_ADMIN for this attach.mode`;
  return { kind: "permission", message };
}

function exitOf(code: number | null): string {
  return code === null ? "nothing; it took too long and was ended" : `exit code ${code}`;
}

/** Packets are tracked although nodens's rules say otherwise: rules in front of them decide first. */
export function trackedProblem(what: string): SetupProblem {
  const message = `${what} are tracked in spite of nodens's rules: rules of another table come before them (a priority below raw - 10) and give packets a conntrack zone or helper`;
  return { kind: "path", message };
}

function firstLines(text: string): string {
  return text.split("\n").slice(0, 3).join(" ").trim();
}
