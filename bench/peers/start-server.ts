/*
 * Starts one of the servers, in a folder of its own, and waits until it answers.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { findCommand } from "../../test/support/program/requirements.ts";
import { residentBytes } from "../../test/support/program/process-memory.ts";
import { findFreePort } from "../../test/support/servers/free-port.ts";
import { askAll } from "../../test/support/messages/ask-many.ts";
import { buildQuery, Flags, Type } from "../../test/support/messages/messages.ts";
import { until } from "../../test/support/servers/scripted-upstream.ts";
import { cpuMicrosOf, endProcess, hurry, processors, startPinned } from "./pinned-process.ts";
import { type Place, type ServerName, servers } from "./servers.ts";
import type { Tools } from "./tools.ts";

/** A server that runs. */
export interface RunningServer {
  readonly name: ServerName;
  readonly port: number;
  /** User and system time since its start, in microseconds. */
  cpuMicros(): number;
  residentMib(): number;
  /** Puts it ahead of the machine's other work, or back in line. */
  hurry(isHurried: boolean): void;
  stop(): Promise<void>;
}

const patienceMs = 20_000;
const mebibyte = 1024 ** 2;

/** Why a server cannot be measured here; undefined where it can. */
export function whyAbsent(name: ServerName, tools: Tools): string | undefined {
  const { title, command } = servers[name];
  if (command !== undefined && findCommand(command) === undefined) return `${title}: not installed`;
  if (name.startsWith("coredns") && tools.coredns === undefined) return `${title}: not built`;
  return undefined;
}

/** Starts it in a folder of its own in `folder`. Reject when it does not answer in time. */
export async function startServer(
  name: ServerName,
  { tools, folder, ...place }: { tools: Tools } & Pick<Place, "folder" | "upstreamPort" | "entries" | "denialSeconds">,
): Promise<RunningServer> {
  const [port, adminPort] = [await findFreePort(), await findFreePort()];
  const own = join(folder, `${name}-${port}`);
  mkdirSync(own, { recursive: true });
  const line = servers[name].line({ ...place, port, adminPort, folder: own }, tools);
  if (line === undefined) throw new Error(`${servers[name].title} was not made`);
  const [command = "", ...args] = line;
  const child = startPinned(processors.server, [findCommand(command) ?? command, ...args]);
  const pid = child.pid ?? 0;
  const server = {
    name,
    port,
    cpuMicros: () => cpuMicrosOf(pid),
    residentMib: () => residentBytes(pid) / mebibyte,
    hurry: (isHurried: boolean) => hurry(pid, isHurried),
    stop: () => endProcess(child),
  };
  try {
    const question = buildQuery("ready.example.net", Type.A, { flags: Flags.RD });
    const isAnswering = async () => {
      if (child.exitCode !== null) throw new Error(`${servers[name].title} ended with ${child.exitCode}`);
      const [reply] = await askAll({ host: "127.0.0.1", port }, "udp", [question], { waitMs: 200 });
      return reply !== undefined;
    };
    await until(`${servers[name].title} answers`, isAnswering, patienceMs);
    return server;
  } catch (error) {
    await server.stop();
    throw error;
  }
}
