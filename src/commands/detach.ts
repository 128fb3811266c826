/* `nodens detach`: removes from the node what nodens leaves there when it ends. */
import { detach as detachFromNode } from "../attach/detach.ts";
import type { RunProgram } from "../attach/run-program.ts";
import type { Environment } from "../settings/expand-variables.ts";
import { loadSettings } from "../settings/load-settings.ts";
import { defaultSettings } from "../settings/settings-table.ts";
import { formatProblem } from "../settings/problem.ts";
import { ExitCode } from "./exit-code.ts";

/** What `detach` needs from the process. `write` and `writeError` receive whole lines, line endings included. */
export interface DetachOptions {
  readonly env: Environment;
  readonly run: RunProgram;
  readonly write: (text: string) => void;
  readonly writeError: (text: string) => void;
}

/**
 * Removes the addresses and the table, and says so. Without a file, the addresses are those of the default settings. Resolves with
 * the exit code: 0, even when there was nothing to remove; 77 without permission; 71 when the system refused something else; 78, with
 * nothing removed, for settings that cannot be used.
 */
export async function detach(
  filePath: string | undefined,
  { env, run, write, writeError }: DetachOptions,
): Promise<number> {
  // Without a file there is nobody to ask, and nobody is asked.
  const loaded = filePath === undefined ? { settings: defaultSettings() } : loadSettings({ filePath, env });
  if ("problems" in loaded) {
    for (const problem of loaded.problems) writeError(`${formatProblem(problem)}\n`);
    return ExitCode.configuration;
  }
  const { removed, problems } = await detachFromNode(loaded.settings.attach.addresses, run);
  for (const what of removed) write(`removed ${what}\n`);
  for (const { message } of problems) writeError(`nodens: ${message}\n`);
  if (removed.length === 0 && problems.length === 0) write("there is nothing of nodens on this node\n");
  if (problems.some(({ kind }) => kind === "permission")) return ExitCode.noPermission;
  return problems.length > 0 ? ExitCode.system : ExitCode.ok;
}
