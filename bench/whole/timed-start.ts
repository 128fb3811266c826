/*
 * Runs a program for as long as it is looked at, and takes the time until it is ready and until it answers.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { askAll } from "../../test/support/messages/ask-many.ts";
import { buildQuery, Flags, Type } from "../../test/support/messages/messages.ts";
import { findCommand } from "../../test/support/program/requirements.ts";
import { findFreePort } from "../../test/support/servers/free-port.ts";
import type { Line, Place } from "./memory-servers.ts";

const patienceMs = 20_000;

/** A program that runs. */
export interface Running {
  readonly pid: number;
  readonly port: number;
  readonly adminPort: number;
  /** From exec until it says that it is ready; undefined for a program that does not say so. */
  readonly readyMs: number | undefined;
  /** From exec until the first reply over UDP; 0 for a program that answers nothing. */
  readonly firstMs: number;
}

/**
 * Starts what `makeLine` says, on free ports, and ends it once `use` is done. Rejects with what the program wrote, if it ends or does not
 * answer in time.
 */
export async function withProgram<Ports extends Pick<Place, "port" | "adminPort">, Result>(
  makeLine: (place: Ports) => Line,
  place: Omit<Ports, "port" | "adminPort">,
  use: (running: Running) => Promise<Result>,
): Promise<Result> {
  const [port, adminPort] = [await findFreePort(), await findFreePort()];
  const { words, env, readyUrl, isMute } = makeLine({ ...place, port, adminPort } as Ports);
  const [program = "", ...args] = words;
  const startedAtMs = performance.now();
  const child = spawn(findCommand(program) ?? program, args, {
    stdio: ["ignore", "ignore", "pipe"],
    env: env ?? process.env,
  });
  const hasEnded = () => child.exitCode !== null || performance.now() - startedAtMs > patienceMs;
  let complaints = "";
  child.stderr.on("data", (text: Buffer) => (complaints = `${complaints}${text.toString()}`.slice(-2000)));
  try {
    const ready = readyUrl === undefined ? undefined : msUntil(startedAtMs, () => isOk(readyUrl), hasEnded);
    const first = isMute === true ? 0 : msUntil(startedAtMs, () => isAnswered(port), hasEnded);
    const [readyMs, firstMs] = await Promise.all([ready, first]);
    return await use({ pid: child.pid ?? 0, port, adminPort, readyMs, firstMs });
  } catch (error) {
    throw new Error(`${words.join(" ")}: ${(error as Error).message}\n${complaints}`, { cause: error });
  } finally {
    const gone = child.exitCode === null ? once(child, "exit") : undefined;
    child.kill("SIGKILL");
    await gone;
  }
}

async function msUntil(sinceMs: number, isSo: () => Promise<boolean>, isInVain: () => boolean): Promise<number> {
  while (!(await isSo())) {
    if (isInVain()) throw new Error("it ended, or is not ready in time");
    await delay(2);
  }
  return performance.now() - sinceMs;
}

function isOk(url: string): Promise<boolean> {
  return fetch(url).then(
    ({ ok }) => ok,
    () => false,
  );
}

async function isAnswered(port: number): Promise<boolean> {
  const query = buildQuery("ready.example.net", Type.A, { flags: Flags.RD });
  const [reply] = await askAll({ host: "127.0.0.1", port }, "udp", [query], { waitMs: 10 });
  return reply !== undefined;
}

/** A field of /proc/PID/smaps_rollup, in octets: `Rss` is what is resident, `Anonymous` what of it is the process's own. */
export function memoryOf(pid: number, field: "Rss" | "Anonymous"): number {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
  return Number(new RegExp(`^${field}:\\s+(\\d+)`, "m").exec(text)?.[1]) * 1024;
}
