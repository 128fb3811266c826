/*
 * Places: sets of namespaces that a process of ours keeps, and programs that run in them. A place's network, mounts, processes and
 * host name are its own; files are the machine's unless something is mounted over them.
 */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync, readlinkSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";

/** Namespaces, by the process that holds them, as the machine counts processes. They end with it. */
export interface Place {
  readonly keeperPid: number;
}

/** What a program printed, once it has ended. */
export interface Output {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** How a program is run. */
export interface RunOptions {
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Which of the place's namespaces it is run in; all unless said otherwise. */
  readonly namespaces?: readonly string[];
}

/** A program that goes on running. */
export interface Daemon {
  readonly name: string;
  /** Sends a signal to the program. Does nothing when it has ended. */
  signal(name: NodeJS.Signals): void;
  /** Ends it, and resolves when it has ended. */
  stop(name?: NodeJS.Signals): Promise<void>;
  hasEnded(): boolean;
  /** Everything that it wrote. */
  output(): string;
}

const own: readonly string[] = ["--mount", "--net", "--pid", "--uts", "--ipc"];

/** The command that runs a command in a place, or in some of its namespaces, and in a folder. */
export function commandIn({ keeperPid }: Place, command: readonly string[], namespaces = own, folder = "/"): string[] {
  return ["nsenter", "--target", String(keeperPid), ...namespaces, `--wd=${folder}`, "--", ...command];
}

/**
 * Makes a place within another's processes, or on the machine. `keeper` is a program that reaps what is left to it, and ends when it
 * is told to.
 */
export async function makePlace(keeper: string, within?: Place): Promise<Place> {
  const make = ["unshare", ...own, "--fork", "--mount-proc", "--propagation", "private", keeper];
  const outer = within === undefined ? [] : ["nsenter", "--target", String(within.keeperPid), "--pid", "--"];
  const [program = "", ...args] = [...outer, ...make];
  const child = spawn(program, args, { stdio: "ignore", detached: true });
  child.unref();
  const giveUpAt = performance.now() + 10_000;
  for (;;) {
    const keeperPid = findDescendant(child.pid ?? 0, keeper);
    if (keeperPid !== undefined) return { keeperPid };
    if (child.exitCode !== null || performance.now() > giveUpAt) throw new Error(`cannot make namespaces: ${program}`);
    await delay(5);
  }
}

/** The process that runs `program` at the end of a line of single children. */
function findDescendant(pid: number, program: string): number | undefined {
  for (let each: number | undefined = pid; each !== undefined; each = childOf(each)) {
    if (programOf(each) === program) return each;
  }
  return undefined;
}

function programOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/exe`);
  } catch {
    return undefined;
  }
}

function childOf(pid: number): number | undefined {
  try {
    const first = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ")[0] ?? "";
    return first === "" ? undefined : Number(first);
  } catch {
    return undefined;
  }
}

/** Runs a program to its end. Rejects only when it cannot be started. */
export async function tryIn(place: Place, command: readonly string[], options: RunOptions = {}): Promise<Output> {
  const [program = "", ...args] = commandIn(place, command, options.namespaces);
  const running = promisify(execFile)(program, args, {
    maxBuffer: 2 ** 28,
    env: { ...process.env, ...options.env },
  });
  // It may end without reading.
  running.child.stdin?.on("error", () => {});
  running.child.stdin?.end(options.input);
  try {
    return { code: 0, ...(await running) };
  } catch (error) {
    const { code, stdout = "", stderr = "" } = error as { code: unknown; stdout?: string; stderr?: string };
    if (typeof code !== "number") throw error;
    return { code, stdout, stderr };
  }
}

/** Runs a program to its end and returns what it printed. Throws with what it complains of when that is not a good end. */
export async function runIn(place: Place, command: readonly string[], options?: RunOptions): Promise<string> {
  const { code, stdout, stderr } = await tryIn(place, command, options);
  if (code === 0) return stdout;
  throw new Error(`${command.join(" ").slice(0, 300)}: ended with ${code}\n${stderr}${stdout}`.trim());
}

/** Starts a program that outlives this process. What it writes is appended to `log`. */
export function startIn(
  place: Place,
  name: string,
  command: readonly string[],
  log: string,
  env: Readonly<Record<string, string>> = {},
): Daemon {
  const file = openSync(log, "a");
  const [program = "", ...args] = commandIn(place, command);
  const child = spawn(program, args, {
    stdio: ["ignore", file, file],
    detached: true,
    env: { ...process.env, ...env },
  });
  closeSync(file);
  child.unref();
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null;
  const ended = once(child, "exit");

  function signal(signalName: NodeJS.Signals): void {
    // nsenter waits for the program, which is its only child.
    const pid = hasEnded() ? undefined : childOf(child.pid ?? 0);
    if (pid !== undefined) process.kill(pid, signalName);
  }

  return {
    name,
    signal,
    hasEnded,
    output: () => readFileSync(log, "utf8"),
    async stop(signalName = "SIGTERM") {
      if (hasEnded()) return;
      signal(signalName);
      await ended;
    },
  };
}

/** Waits until `condition` holds; throws after `limitMs` with what was waited for. A condition that throws does not hold yet. */
export async function waitFor(
  what: string,
  condition: () => boolean | Promise<boolean>,
  limitMs = 60_000,
  everyMs = 200,
): Promise<void> {
  const giveUpAt = performance.now() + limitMs;
  let problem: unknown;
  for (;;) {
    try {
      if (await condition()) return;
    } catch (error) {
      problem = error;
    }
    if (performance.now() > giveUpAt) {
      throw new Error(`waited ${limitMs / 1000} s in vain until ${what}`, { cause: problem });
    }
    await delay(everyMs);
  }
}
