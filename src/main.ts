/*
 * The command line on this process's own streams, environment and clock.
 */
import { check } from "./commands/check.ts";
import { createCommandLine } from "./commands/command-line.ts";
import { runProgram } from "./attach/run-program.ts";
import { ExitCode } from "./commands/exit-code.ts";
import { detach } from "./commands/detach.ts";
import { doctor } from "./commands/doctor.ts";
import { explain } from "./commands/explain.ts";
import { migrate } from "./commands/migrate.ts";
import { query } from "./commands/query.ts";
import { serve } from "./commands/serve.ts";
import { untaint } from "./commands/untaint.ts";
import { tail, top } from "./commands/seen.ts";
import { openScreen } from "./runtime/screen.ts";
import { version } from "./commands/version.ts";
import { pauseAwake, systemClock } from "./runtime/clock.ts";
import { createTerminal } from "./runtime/terminal.ts";

/** Runs the command that `argv` (program and script first) names. Resolves with the exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  const { env } = process;
  const terminal = createTerminal(process.stdout, process.stderr, systemClock);
  const { write, writeInColour, writeError } = terminal;
  const hasColours = process.stdout.isTTY && !env["NO_COLOR"];
  // What `serve` writes is for people who look at it, and not what it is for.
  let isServing = false;
  const actions = {
    serve({ config, ...flags }: { config?: string | undefined }) {
      isServing = true;
      return serve({ filePath: config, flags, env, clock: systemClock, write, writeError, exit: process.exit });
    },
    check: (filePath: string) => check(filePath, { env, write, writeError }),
    query: (name: string, type: string | undefined, flags: Parameters<typeof query>[2]) =>
      query(name, type, flags, { write, writeError }),
    explain: (name: string, flags: Parameters<typeof explain>[1]) =>
      explain(name, flags, { write: hasColours ? writeInColour : write, writeError, hasColours }),
    top: (flags: Parameters<typeof top>[0]) =>
      top(flags, { write, writeError }, openScreen(process.stdin, process.stdout)),
    tail: (flags: Parameters<typeof tail>[0]) => tail(flags, { write, writeError }),
    doctor: (flags: Parameters<typeof doctor>[0]) =>
      doctor(flags, { run: runProgram, self: [argv[0] ?? "", argv[1] ?? ""], write, writeError }),
    migrate: (filePath: string) => migrate(filePath, { env, write, writeError }),
    detach: (filePath: string | undefined) => detach(filePath, { env, run: runProgram, write, writeError }),
    untaint: (flags: Parameters<typeof untaint>[0]) => untaint(flags, { env, pause: pauseAwake, write, writeError }),
    version: () => version({ env, write }),
  };
  const code = await createCommandLine(actions, terminal).run(argv.slice(2));
  const loss = isServing ? undefined : await terminal.loss();
  if (loss === undefined) return code;
  writeError(`nodens: cannot write to standard output: ${loss}\n`);
  return code === ExitCode.ok ? ExitCode.system : code;
}
