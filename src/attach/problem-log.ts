/*
 * What is wrong with what nodens puts on the node. Each part of the attachment tells what is wrong with it now; what is new is counted
 * and logged, and so is what is over.
 */
import type { AttachmentOptions } from "./attachment-options.ts";
import { type SetupProblem, type SetupProblemKind, setupProblemKinds } from "./setup-problem.ts";

/** The parts, in the order in which their problems are listed. */
const parts = ["node", "interception", "fallOpen", "pods"] as const;
type Part = (typeof parts)[number];

/** The problems of all parts. */
export interface ProblemLog {
  /** What is wrong with this part now, in place of what was. */
  report(part: Part, now: readonly SetupProblem[]): void;
  /** What is wrong with this part. */
  of(part: Part): readonly SetupProblem[];
  /** What is wrong now. */
  all(): readonly SetupProblem[];
  /** How many problems have appeared since the start, by kind. */
  counts(): Readonly<Record<SetupProblemKind, number>>;
}

/** A log without problems. Two problems are the same when they have the same message. */
export function createProblemLog({ mode, log }: Pick<AttachmentOptions, "mode" | "log">): ProblemLog {
  const counts = Object.fromEntries(setupProblemKinds.map((kind) => [kind, 0])) as Record<SetupProblemKind, number>;
  const current: Record<Part, readonly SetupProblem[]> = { node: [], interception: [], fallOpen: [], pods: [] };

  return {
    report(part, now) {
      const before = current[part];
      current[part] = now;
      for (const problem of now) {
        if (has(before, problem)) continue;
        counts[problem.kind] += 1;
        log.warn({ kind: problem.kind, mode }, problem.message);
      }
      for (const problem of before) {
        if (!has(now, problem)) log.info({ kind: problem.kind, mode }, `no longer: ${problem.message}`);
      }
    },
    of: (part) => current[part],
    all: () => parts.flatMap((part) => current[part]),
    counts: () => counts,
  };
}

function has(list: readonly SetupProblem[], one: SetupProblem): boolean {
  return list.some(({ message }) => message === one.message);
}
