/*
 * The command line on this process's own streams, environment and clock.
 */
import { alreadyLoaded } from "./commands/already-loaded.ts";
import { createCommandLine } from "./commands/command-line.ts";
import { eachLineOf, runProgram } from "./attach/run-program.ts";
import { ExitCode } from "./commands/exit-code.ts";
import type { CacheFlushFlags, CacheShowFlags } from "./commands/cache.ts";
import type { ExplainFlags } from "./commands/explain.ts";
import type { DoctorFlags } from "./commands/doctor.ts";
import type { QueryFlags } from "./commands/query.ts";
import { serve } from "./commands/serve.ts";
import type { ReportReadyFlags } from "./commands/report-ready.ts";
import type { UntaintFlags } from "./commands/untaint.ts";
import type { AdviseFlags, TailFlags, TopFlags } from "./commands/seen.ts";
import { version } from "./commands/version.ts";
import { createServerClock, pauseAwake, systemClock } from "./runtime/clock.ts";
import { createTerminal } from "./runtime/terminal.ts";

/** Runs the command that `argv` (program and script first) names. Resolves with the exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  const { env } = process;
  const terminal = createTerminal(process.stdout, process.stderr, systemClock);
  const { write, writeInColour, writeError } = terminal;
  const hasColours = process.stdout.isTTY && !env["NO_COLOR"];
  // What `serve` writes is for people who look at it, and not what it is for.
  let isServing = false;
  // What serves needs no other command, and would keep it for as long as it lives.
  const actions = {
    serve({ config, ...flags }: { config?: string | undefined }) {
      isServing = true;
      return serve({ filePath: config, flags, env, clock: createServerClock(), write, writeError, exit: process.exit });
    },
    async check(filePath: string) {
      const { check } = await import("./commands/check.ts");
      return check(filePath, { env, write, writeError });
    },
    async query(name: string, type: string | undefined, flags: QueryFlags) {
      const { query } = await import("./commands/query.ts");
      return query(name, type, flags, { write, writeError });
    },
    async explain(name: string, flags: ExplainFlags) {
      const { explain } = await import("./commands/explain.ts");
      return explain(name, flags, {
        ...alreadyLoaded,
        write: hasColours ? writeInColour : write,
        writeError,
        hasColours,
      });
    },
    async top(flags: TopFlags) {
      const [{ top }, { openScreen }] = await Promise.all([
        import("./commands/seen.ts"),
        import("./runtime/screen.ts"),
      ]);
      return top(flags, { write, writeError }, openScreen(process.stdin, process.stdout));
    },
    async tail(flags: TailFlags) {
      const { tail } = await import("./commands/seen.ts");
      return tail(flags, { write, writeError });
    },
    async advise(flags: AdviseFlags) {
      const { advise } = await import("./commands/seen.ts");
      return advise(flags, { write, writeError });
    },
    async cacheShow(name: string, type: string | undefined, flags: CacheShowFlags) {
      const { cacheShow } = await import("./commands/cache.ts");
      return cacheShow(name, type, flags, { write, writeError });
    },
    async cacheFlush(name: string, flags: CacheFlushFlags) {
      const { cacheFlush } = await import("./commands/cache.ts");
      return cacheFlush(name, flags, { write, writeError });
    },
    async doctor(flags: DoctorFlags) {
      const { doctor } = await import("./commands/doctor.ts");
      return doctor(flags, {
        run: runProgram,
        eachLine: eachLineOf,
        self: [argv[0] ?? "", argv[1] ?? ""],
        ...alreadyLoaded,
        write,
        writeError,
        writeProgress: (line) => (process.stderr.isTTY ? writeError(`nodens: ${line}\n`) : undefined),
      });
    },
    async migrate(filePath: string) {
      const { migrate } = await import("./commands/migrate.ts");
      return migrate(filePath, { env, write, writeError });
    },
    async detach(filePath: string | undefined) {
      const { detach } = await import("./commands/detach.ts");
      return detach(filePath, { env, run: runProgram, write, writeError });
    },
    async untaint(flags: UntaintFlags) {
      const { untaint } = await import("./commands/untaint.ts");
      return untaint(flags, { env, pause: pauseAwake, write, writeError });
    },
    async reportReady(flags: ReportReadyFlags) {
      const { reportReady } = await import("./commands/report-ready.ts");
      return reportReady(flags, { env, pause: pauseAwake, write, writeError });
    },
    version: () => version({ env, write }),
  };
  const code = await createCommandLine(actions, terminal).run(argv.slice(2));
  const loss = isServing ? undefined : await terminal.loss();
  if (loss === undefined) return code;
  writeError(`nodens: cannot write to standard output: ${loss}\n`);
  return code === ExitCode.ok ? ExitCode.system : code;
}
