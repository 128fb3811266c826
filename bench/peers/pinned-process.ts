/*
 * Programs on one processor of their own, and what they took of it. All of them end with this process.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { childrenOf } from "../../test/support/program/process-children.ts";

/** Servers have the first processor, what asks them and what they ask the second. */
export const processors = { server: 0, load: 1 } as const;

const running = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

const clockTicksPerSecond = 100;

/** Root may, but not in every container. */
const canHurry = spawnSync("chrt", ["--rr", "1", "true"], { stdio: "ignore" }).status === 0;

/**
 * Starts `line` on a processor. Output is thrown away unless it has pipes. With an urgency from 1 on it runs ahead of the machine's other
 * work, and of what is less urgent.
 */
export function startPinned(
  processor: number,
  line: readonly string[],
  { pipes = false, urgency = 0 } = {},
): ChildProcess {
  const hurry = urgency > 0 && canHurry ? ["chrt", "--rr", String(urgency)] : [];
  const [command = "", ...args] = [...hurry, "taskset", "-c", String(processor), ...line];
  const child = spawn(command, args, { stdio: pipes ? ["pipe", "pipe", "inherit"] : "ignore" });
  running.add(child);
  child.once("exit", () => running.delete(child));
  return child;
}

/** Ends a process and waits until it is gone. */
export async function endProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), 5000);
  await gone;
  clearTimeout(timer);
}

/**
 * Puts all threads of a process ahead of the machine's other work (SCHED_RR), or back in line. For times that are measured: what the
 * program takes in all is small then. Where the system does not allow it nothing changes.
 */
export function hurry(pid: number, isHurried: boolean): void {
  if (!canHurry) return;
  const policy = isHurried ? ["--rr", "--all-tasks", "--pid", "1"] : ["--other", "--all-tasks", "--pid", "0"];
  execFileSync("chrt", [...policy, String(pid)], { stdio: "ignore" });
}

/** User and system time in microseconds, with that of processes that it started. */
export function cpuMicrosOf(pid: number): number {
  const own = readdirSync(`/proc/${pid}/task`).reduce((sum, thread) => {
    return sum + Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ")[0]) / 1000;
  }, 0);
  // Children that have ended, for servers that fork for a connection (proc(5)).
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  const ended = ((Number(fields[13]) + Number(fields[14])) * 1e6) / clockTicksPerSecond;
  return childrenOf(pid).reduce((sum, child) => sum + cpuOfChild(child), own + ended);
}

/** A child may end between two looks. */
function cpuOfChild(pid: number): number {
  try {
    return cpuMicrosOf(pid);
  } catch {
    return 0;
  }
}
