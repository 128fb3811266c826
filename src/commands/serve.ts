/*
 * `nodens serve`: from flags and a settings file to a running nodens, through reloads, to its end.
 */
import { readFileSync } from "node:fs";
import { describeApp } from "../app/describe-app.ts";
import { type App, startApp } from "../app/start-app.ts";
import { ListenError } from "../listen/open-listeners.ts";
import { createLogger } from "../observe/log.ts";
import type { Clock } from "../runtime/clock.ts";
import { releaseMemoryOfStart } from "../runtime/memory-of-start.ts";
import { handleSignals } from "../runtime/signals.ts";
import { type FlagValues, type LoadedSettings, loadSettings } from "../settings/load-settings.ts";
import { formatProblem } from "../settings/problem.ts";
import { watchSettings } from "../settings/watch-settings.ts";
import { ExitCode, exitCodeOfListenError } from "./exit-code.ts";
import { readBuild } from "./version.ts";

/** What `serve` needs from the process. `flags` override what the file says. */
export interface ServeOptions {
  readonly filePath: string | undefined;
  readonly flags: FlagValues;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  /** Both take whole lines meant for people, line endings included. Logs go straight to standard error. */
  write(text: string): void;
  writeError(text: string): void;
  /** Ends the process at once. */
  exit(code: number): void;
}

/**
 * Serves until a signal ends it. Resolves with the exit code: 0 after a signal; 78 for settings that cannot be used; 69, 71 or 77 for an
 * address that cannot be opened. Each reason not to start is one line. Rejects with any other error.
 */
export async function serve(options: ServeOptions): Promise<number> {
  const { clock, env } = options;
  // First of all: a nodens that is starting must end too, and the first process of a container ends only by signals that it handles.
  const signals = followSignals(options);
  const load = createLoader(options);
  const loaded = load();
  if ("problems" in loaded) {
    for (const problem of loaded.problems) options.writeError(`${formatProblem(problem)}\n`);
    return ExitCode.configuration;
  }
  const { settings } = loaded;
  const log = createLogger({ level: settings.log.level });
  for (const warning of loaded.warnings) log.warn({ problem: formatProblem(warning) }, "doubtful setting");
  try {
    const build = readBuild(env);
    const app = await startApp({ settings, clock, log, build });
    options.write(`${describeApp(app, build.version)}\n`);
    clock.after(startedMs, () => void releaseMemoryOfStart());
    await signals.untilEnded(app, load);
    return ExitCode.ok;
  } catch (error) {
    if (!(error instanceof ListenError)) throw error;
    options.writeError(`nodens: ${error.message}\n`);
    return exitCodeOfListenError(error.code);
  }
}

/** How long after the sockets are open nodens has done what it does only at its start. */
const startedMs = 3000;

/** The part of the grace period that is kept for the exit of the process itself. */
const exitMs = 500;

/**
 * Handles signals from now on. While nodens is starting, SIGTERM and SIGINT end the process: nobody relies on it yet, and what the start
 * waits for may hang. `untilEnded` reloads when the file changes or SIGHUP arrives, and resolves once a signal has ended `app`.
 */
function followSignals({ filePath, clock, exit }: ServeOptions) {
  let isReloadDue = false;
  let reload = () => void (isReloadDue = true);
  let end = (_lameDuckMs?: number) => exit(ExitCode.ok);
  let endAtOnce = () => exit(ExitCode.ok);

  // Handled to the very end: a signal that arrives twice, from a terminal and from npm, must not kill a clean shutdown.
  handleSignals(
    {
      stop: (signal) => (signal === "SIGTERM" ? end() : end(0)),
      stopAtOnce: () => endAtOnce(),
      reload: () => reload(),
    },
    clock,
  );

  return {
    untilEnded(app: App, load: LoadAgain): Promise<void> {
      const { promise, resolve } = Promise.withResolvers<void>();
      const onChange = (text: string | undefined) => void app.reload.apply(load(text), "changed file");
      const watcher = filePath === undefined ? undefined : watchSettings(filePath, { clock, onChange });

      /** Whatever hangs, nodens exits by itself before it would be killed. */
      function finish(ending: Promise<void>): void {
        watcher?.close();
        void ending.then(resolve);
        const { gracePeriodSeconds } = app.reload.inForce().shutdown;
        clock.after(gracePeriodSeconds * 1000 - exitMs, () => {
          app.log.warn({ gracePeriodSeconds }, "shutting down took too long; giving up what is left");
          exit(ExitCode.ok);
        });
      }

      reload = () => void app.reload.apply(load(), "SIGHUP");
      end = (lameDuckMs) => finish(app.stop(lameDuckMs));
      endAtOnce = () => finish(app.close());
      if (isReloadDue) reload();
      return promise;
    },
  };
}

/** Loads the settings: from the file, or from `text` where that was read already. */
type LoadAgain = (text?: string) => LoadedSettings;

function createLoader({ filePath, flags: overrides, env }: ServeOptions): LoadAgain {
  let earlierText = "";
  return (known) => {
    let text = "";
    const readFile = (path: string) => (text = known ?? readFileSync(path, "utf8"));
    const loaded = loadSettings({ filePath, overrides, env, earlierText, readFile });
    if ("settings" in loaded) earlierText = text;
    return loaded;
  };
}
