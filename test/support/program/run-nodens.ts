/*
 * The real program as a child process, on ports that the system picks.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { until } from "../servers/scripted-upstream.ts";
import type { ClockMove } from "./movable-clock.ts";

/** The checkout's own folder. */
export const projectFolder = fileURLToPath(new URL("../../..", import.meta.url));

/** How to start it. */
export interface RunOptions {
  /** Settings as they would stand in the file; ports 0 and no drain are filled in where nothing is said. */
  readonly settings?: Record<string, unknown>;
  /** More arguments of `serve`. */
  readonly flags?: readonly string[];
  readonly env?: Record<string, string>;
  /** Whether to wait for "ready" (default) or only for the listeners. */
  readonly waitUntilReady?: boolean;
  /** Whether `moveClock` works. */
  readonly hasMovableClock?: boolean;
  /** What is run instead of the sources of this checkout: a program that takes nodens's arguments. */
  readonly program?: string;
}

/** A nodens that runs. */
export interface RunningNodens {
  readonly process: ChildProcess;
  /** The first listening port (UDP and TCP). */
  readonly port: number;
  readonly adminUrl: string;
  /** The settings file, for tests that change it. */
  readonly settingsFile: string;
  stdout(): string;
  /** Log lines, parsed. */
  logs(): Record<string, unknown>[];
  /** The sample values, as of now, of one metric, by label text ("" without labels). */
  metric(name: string): Promise<Map<string, number>>;
  /** Lets time pass for everything that reads a clock, at once; what waits for a timer waits as long as ever. */
  moveClock(move: ClockMove): Promise<void>;
  /** Ends it with SIGTERM and returns its exit code. Safe to call twice. */
  stop(): Promise<number | null>;
}

/** A nodens that ended by itself. */
export interface EndedNodens {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Starts `nodens serve`. Stop it at the end of the test or suite. Throws with its output when it ends or does not get ready. */
export async function runNodens(options: RunOptions = {}): Promise<RunningNodens> {
  const folder = mkdtempSync(join(tmpdir(), "nodens-test-"));
  const settingsFile = join(folder, "nodens.yaml");
  // JSON is YAML.
  writeFileSync(settingsFile, JSON.stringify(withTestDefaults(options.settings ?? {})));
  const child = spawnNodens(["serve", "--config", settingsFile, ...(options.flags ?? [])], options);
  const output = collect(child);
  let code: number | null | undefined;
  const exited = once(child, "exit").then(([exitCode]) => (code = exitCode as number | null));

  async function stop(): Promise<number | null> {
    if (code === undefined) child.kill("SIGTERM");
    const exitCode = await exited;
    rmSync(folder, { recursive: true, force: true });
    return exitCode;
  }

  try {
    await until("nodens says where it listens", () => {
      if (code !== undefined) throw new Error(`nodens ended with ${code}`);
      return output.stdout().includes("metrics");
    });
    const port = Number(/listening\s+\S+:(\d+)/.exec(output.stdout())?.[1]);
    const adminUrl = /http:\/\/\S+(?=\/metrics)/.exec(output.stdout())?.[0] ?? "";
    if (options.waitUntilReady !== false) {
      await until("nodens is ready", async () => (await fetch(`${adminUrl}/readyz`)).ok);
    }
    return {
      process: child,
      port,
      adminUrl,
      settingsFile,
      stdout: output.stdout,
      logs: () => parseLines(output.stderr()),
      async metric(name) {
        // A page that was rendered a moment ago is shown again for 100 ms.
        await delay(110);
        return readMetric(await (await fetch(`${adminUrl}/metrics`)).text(), name);
      },
      async moveClock(move) {
        if (!child.connected) throw new Error("this nodens has no movable clock");
        const moved = once(child, "message");
        child.send(move);
        await moved;
      },
      stop,
    };
  } catch (error) {
    child.kill("SIGKILL");
    await stop();
    throw new Error(`${String(error)}\n${output.stdout()}${output.stderr()}`, { cause: error });
  }
}

/** Runs `nodens` with these arguments to its end. */
export async function runToEnd(args: readonly string[], env: Record<string, string> = {}): Promise<EndedNodens> {
  const child = spawnNodens(args, { env });
  const output = collect(child);
  const [code] = (await once(child, "close")) as [number | null];
  return { code, stdout: output.stdout(), stderr: output.stderr() };
}

function spawnNodens(
  args: readonly string[],
  { env, hasMovableClock = false, program }: Pick<RunOptions, "env" | "hasMovableClock" | "program">,
): ChildProcess {
  const preload = hasMovableClock ? ["--import", join(import.meta.dirname, "movable-clock.ts")] : [];
  const [command = "", ...first] =
    program === undefined ? [process.execPath, ...preload, join(projectFolder, "src", "nodens.mjs")] : [program];
  return spawn(command, [...first, ...args], {
    stdio: ["ignore", "pipe", "pipe", ...(hasMovableClock ? ["ipc" as const] : [])],
    env: { ...process.env, NODE_OPTIONS: "", ...env },
  });
}

function collect(child: ChildProcess): { stdout(): string; stderr(): string } {
  let stdout = "";
  let stderr = "";
  child.stdout?.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr?.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  return { stdout: () => stdout, stderr: () => stderr };
}

function withTestDefaults(settings: Record<string, unknown>): Record<string, unknown> {
  const group = (name: string) => (settings[name] ?? {}) as Record<string, unknown>;
  return {
    ...settings,
    listen: { addresses: ["127.0.0.1:0"], batch: batchOfTests(), ...group("listen") },
    admin: { address: "127.0.0.1:0", ...group("admin") },
    // What this machine is set to must not matter, and nobody outside it is asked.
    search: { resolvConf: "", ...group("search") },
    upstream: { embedded: true, embeddedOutside: "built-in", ...group("upstream") },
    shutdown: { drainMs: 0, ...group("shutdown") },
  };
}

/** How nodens receives UDP where a test does not say: some files are run both ways (vitest.config.ts). */
export function batchOfTests(): string {
  return process.env["NODENS_TEST_BATCH"] ?? "auto";
}

function parseLines(text: string): Record<string, unknown>[] {
  return text
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

function readMetric(exposition: string, name: string): Map<string, number> {
  const samples = new Map<string, number>();
  for (const line of exposition.split("\n")) {
    const match = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (match?.[1] === name) samples.set(match[2] ?? "", Number(match[3]));
  }
  return samples;
}
