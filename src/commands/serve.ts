/*
 * `nodens serve`: from settings to a running nodens, through reloads, to its end.
 */
import { createHash } from "node:crypto";
import { type App, startApp } from "../app/start-app.ts";
import { replySourceNames } from "../listen/listen-counters.ts";
import { ListenError } from "../listen/open-listeners.ts";
import { type AdminServer, type AdminServerOptions, startAdminServer } from "../observe/admin-server.ts";
import { createLogger, setLevel } from "../observe/log.ts";
import { createMetrics } from "../observe/metrics.ts";
import { keepProbeFiles } from "../observe/probe-files.ts";
import { createQueryLog } from "../observe/query-log.ts";
import type { Clock } from "../runtime/clock.ts";
import { formatServerAddress } from "../runtime/server-address.ts";
import { handleSignals } from "../runtime/signals.ts";
import { printEffectiveSettings, settingsThatNeedRestart } from "../settings/effective-settings.ts";
import { type FlagValues, type LoadedSettings, loadSettings } from "../settings/load-settings.ts";
import { formatProblem } from "../settings/problem.ts";
import type { Settings } from "../settings/settings-table.ts";
import { watchSettings } from "../settings/watch-settings.ts";
import type { BuildInfo, ReloadCounters } from "../observe/metric-sources.ts";
import { rcodeName, typeName } from "../wire/codes.ts";
import { forEachInferringRule } from "../search/rules.ts";
import { Flag } from "../wire/header.ts";
import { nameToText } from "../wire/name-text.ts";
import { metricSourcesOf } from "../app/metric-sources.ts";
import { ExitCode, exitCodeOfListenError } from "./exit-code.ts";
import type { ExplainState } from "../explain/explain-lookup.ts";
import { explainPage } from "../explain/explain-page.ts";
import { readBuild } from "./version.ts";

/** Where `serve` gets everything from. */
export interface ServeOptions {
  readonly filePath: string | undefined;
  readonly flags: FlagValues;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  /** Take whole lines for people, with their line ends. Logs go to standard error by themselves. */
  write(text: string): void;
  writeError(text: string): void;
}

/** Serves until a signal ends it. Resolves with the exit code; every reason not to start is one clear line. */
export async function serve(options: ServeOptions): Promise<number> {
  const loaded = loadSettings({ filePath: options.filePath, overrides: options.flags, env: options.env });
  if ("problems" in loaded) {
    for (const problem of loaded.problems) options.writeError(`${formatProblem(problem)}\n`);
    return ExitCode.configuration;
  }
  const log = createLogger({ level: loaded.settings.log.level });
  for (const warning of loaded.warnings) log.warn({ problem: formatProblem(warning) }, "doubtful setting");
  try {
    return await run(loaded.settings, log, options);
  } catch (error) {
    if (!(error instanceof ListenError)) throw error;
    options.writeError(`nodens: ${error.message}\n`);
    return exitCodeOfListenError(error.code);
  }
}

type Logger = ReturnType<typeof createLogger>;
type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

async function run(initialSettings: Settings, log: Logger, options: ServeOptions): Promise<number> {
  const { clock } = options;
  let settings = initialSettings;
  const reloads: Mutable<ReloadCounters> = { succeeded: 0, failed: 0, wasLastSuccessful: true };
  const app = await startApp({ settings, clock, log });
  const build = readBuild(options.env);
  const metrics = metricSourcesOf(app, build, reloads, () => hashOf(settings), clock);
  const registry = createMetrics(metrics.sources, { compat: settings.metrics.compat });
  const isReady = () => readinessOf(app);
  const explain = (parameters: URLSearchParams) => explainPage(parameters, explainStateOf(app));
  const admin = await openAdmin(app, { address: settings.admin.address, registry, build, isReady, explain, clock });
  const queryLog = createQueryLog(log, {
    nameToText,
    typeName,
    rcodeName,
    flags: { RD: Flag.RD, AD: Flag.AD, CD: Flag.CD },
    sources: replySourceNames,
  });
  app.front.queryLog = settings.log.queries ? queryLog : undefined;
  const endProbeFiles = startProbeFiles(app, settings, log, clock);
  options.write(`${describe(app, settings, admin, build)}\n`);

  return new Promise((resolve) => {
    // To the very end: a signal that comes twice, from a terminal and from npm, must not kill what is ending well.
    handleSignals(
      {
        stop: (signal) => void end(signal === "SIGTERM" ? settings.shutdown.drainMs : 0),
        stopAtOnce: () => void finish(),
        reload: () => reload(load(undefined), "SIGHUP"),
      },
      clock,
    );
    const watcher =
      options.filePath === undefined
        ? undefined
        : watchSettings(options.filePath, { clock, onChange: (text) => reload(load(text), "changed file") });

    function load(text: string | undefined): LoadedSettings {
      const { filePath, flags: overrides, env } = options;
      return loadSettings({ filePath, overrides, env, ...(text === undefined ? {} : { readFile: () => text }) });
    }

    function reload(next: LoadedSettings, trigger: string): void {
      if ("problems" in next) {
        reloads.failed += 1;
        reloads.wasLastSuccessful = false;
        log.error({ trigger, problems: next.problems.map(formatProblem) }, "new settings refused; the old ones stay");
        return;
      }
      const needRestart = settingsThatNeedRestart(settings, next.settings);
      settings = next.settings;
      setLevel(log, settings.log.level);
      app.front.queryLog = settings.log.queries ? queryLog : undefined;
      void app.apply(settings).then(
        () => {
          reloads.succeeded += 1;
          reloads.wasLastSuccessful = true;
          log.info({ trigger, needRestart }, "new settings in force");
        },
        (error: unknown) => {
          reloads.failed += 1;
          reloads.wasLastSuccessful = false;
          log.error({ trigger, err: error }, "new settings could not be applied");
        },
      );
    }

    async function end(lameDuckMs: number): Promise<void> {
      log.info({ lameDuckMs }, "ending");
      watcher?.close();
      endProbeFiles();
      await app.stop(lameDuckMs);
      await finish();
    }

    async function finish(): Promise<void> {
      watcher?.close();
      endProbeFiles();
      metrics.close();
      await Promise.all([app.close(), admin.close()]);
      resolve(ExitCode.ok);
    }
  });
}

async function openAdmin(app: App, options: AdminServerOptions): Promise<AdminServer> {
  try {
    return await startAdminServer(options);
  } catch (error) {
    await app.close();
    throw new ListenError(options.address, "tcp", error as NodeJS.ErrnoException);
  }
}

/** Returns what ends them. */
function startProbeFiles(app: App, { probes: { directory } }: Settings, log: Logger, clock: Clock): () => void {
  if (directory === "") return () => {};
  return keepProbeFiles({
    directory,
    isReady: () => readinessOf(app).ready,
    answers: app.answers,
    clock,
    onError: (error) => log.warn({ directory, err: error }, "cannot write the files for probes"),
  });
}

/** Not ready before everything works once, while ending, and while the upstream leads back here. */
function readinessOf(app: App): { ready: boolean; reasons: string[] } {
  const reasons = app.lifeCycle.reasons();
  if (app.loopGuard.isLooping()) reasons.push("the upstream leads back to nodens");
  return { ready: reasons.length === 0, reasons };
}

/** What this nodens would do with a lookup at this moment. */
function explainStateOf(app: App): ExplainState {
  const { clusterDomain, foresee } = app;
  return { clusterDomain, source: "running", rules: forEachInferringRule(app.isRuleOn), foresee };
}

function hashOf(settings: Settings): string {
  return createHash("sha256").update(printEffectiveSettings(settings)).digest("hex");
}

/** What a person wants to know right after the start. */
function describe(app: App, { attach }: Settings, admin: AdminServer, { version }: BuildInfo): string {
  const addresses = app
    .listeners()
    .filter(({ protocol }) => protocol === "udp")
    .map(({ address }) => address);
  const [first = { host: "127.0.0.1", port: 53 }] = addresses;
  const embedded = app.clusterDnsAddress() === undefined ? "" : ", the embedded cluster DNS";
  const routes = app.upstream().routes.map(({ name, servers, transport }) => {
    const to = servers.map(({ address }) => formatServerAddress(address)).join(", ");
    return `${name} names to ${to} over ${transport.toUpperCase()}`;
  });
  return [
    `nodens ${version}`,
    `  listening   ${addresses.map(formatServerAddress).join(", ")} (UDP and TCP)`,
    ...(attach.mode === "none"
      ? []
      : [`  attached    ${attach.mode}${app.attachment.isComplete() ? "" : ", not complete yet"}`]),
    `  forwarding  ${routes.join("; ")}${embedded}`,
    `  metrics     http://${formatServerAddress(admin.address)}/metrics`,
    `  try         dig @${first.host} -p ${first.port} kubernetes.default.svc.${app.clusterDomain}`,
  ].join("\n");
}
