/*
 * The command line on this process's own streams, environment and clock.
 */
import { check } from "./commands/check.ts";
import { createCommandLine } from "./commands/command-line.ts";
import { runProgram } from "./attach/run-program.ts";
import { detach } from "./commands/detach.ts";
import { explain } from "./commands/explain.ts";
import { migrate } from "./commands/migrate.ts";
import { query } from "./commands/query.ts";
import { serve } from "./commands/serve.ts";
import { version } from "./commands/version.ts";
import { systemClock } from "./runtime/clock.ts";

/** Runs the command that `argv` (program and script first) names. Resolves with the exit code. */
export function main(argv: readonly string[]): Promise<number> {
  const { env } = process;
  const write = (text: string) => void process.stdout.write(text);
  const writeError = (text: string) => void process.stderr.write(text);
  const actions = {
    serve: ({ config, ...flags }: { config?: string | undefined }) =>
      serve({ filePath: config, flags, env, clock: systemClock, write, writeError }),
    check: (filePath: string) => check(filePath, { env, write, writeError }),
    query: (name: string, type: string | undefined, flags: Parameters<typeof query>[2]) =>
      query(name, type, flags, { write, writeError }),
    explain: (name: string, flags: Parameters<typeof explain>[1]) =>
      explain(name, flags, { write, writeError, hasColours: process.stdout.isTTY && !env["NO_COLOR"] }),
    migrate: (filePath: string) => migrate(filePath, { env, write, writeError }),
    detach: (filePath: string | undefined) => detach(filePath, { env, run: runProgram, write, writeError }),
    version: () => version({ env, write }),
  };
  return createCommandLine(actions, { write, writeError }).run(argv.slice(2));
}
