/* `nodens check FILE`: reports everything that is wrong with a settings file, or prints the effective settings. */
import { printEffectiveSettings } from "../settings/effective-settings.ts";
import type { Environment } from "../settings/expand-variables.ts";
import { loadSettings } from "../settings/load-settings.ts";
import { formatProblem } from "../settings/problem.ts";
import { ExitCode } from "./exit-code.ts";

/** What `check` needs from the process. `write` and `writeError` receive whole lines, line endings included. */
export interface CheckOptions {
  readonly env: Environment;
  readonly write: (text: string) => void;
  readonly writeError: (text: string) => void;
}

/** Checks one file. Returns the exit code: 0 with the effective settings written, or 78 with every problem written as an error. */
export function check(filePath: string, { env, write, writeError }: CheckOptions): number {
  const loaded = loadSettings({ filePath, env });
  if ("problems" in loaded) {
    for (const problem of loaded.problems) writeError(`${formatProblem(problem)}\n`);
    return ExitCode.configuration;
  }
  for (const warning of loaded.warnings) writeError(`${formatProblem(warning)} (warning)\n`);
  write(printEffectiveSettings(loaded.settings));
  return ExitCode.ok;
}
