/*
 * nodens in the node's namespace of a bed, and what it says of itself.
 */
import type { AttachMode as AnyMode } from "../../../src/attach/modes.ts";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bedAddress, type NodeBed, patienceMs } from "./node-bed.ts";
import type { ClockMove } from "../program/movable-clock.ts";
import { batchOfTests, projectFolder } from "../program/run-nodens.ts";
import { until } from "../servers/scripted-upstream.ts";

/** A nodens on the node of a bed. */
export interface NodensOnNode {
  readonly process: ChildProcess;
  /** Log lines and everything else it wrote. */
  output(): string;
  /** The value of a metric without labels, or the first series of it that has `label` in it. */
  metric(name: string, label?: string): Promise<number | undefined>;
  /** The sum of all series of a metric that have `label` in them; 0 where there is none. */
  metricSum(name: string, label: string): Promise<number>;
  isReady(): boolean;
  /** How long ago it last showed its probes that it is alive, in milliseconds; undefined where it never did. */
  aliveAgeMs(): number | undefined;
  /** Puts other settings in its file, on top of what the mode needs, and tells it to read them. */
  reload(settings: Record<string, Record<string, unknown>>): void;
  /** Lets time pass for it; only where `hasMovableClock`. */
  moveClock(move: ClockMove): Promise<void>;
  /** Ends it with SIGTERM and resolves with its exit code. */
  stop(): Promise<number | null>;
}

/** Ways of being on a node. */
export type AttachMode = Exclude<AnyMode, "none">;

/** Which nodens. Settings come on top of what the mode needs. */
export interface NodensOnNodeOptions {
  readonly mode: AttachMode;
  readonly settings?: Record<string, Record<string, unknown>>;
  /** Whether to wait until it is ready and, to intercept, does so. True unless said otherwise. */
  readonly waitUntilAttached?: boolean;
  readonly env?: Record<string, string>;
  /** Where it tells of itself: a second one beside the first needs another port, or either answers. 9253 unless said otherwise. */
  readonly adminPort?: number;
  /** Capabilities that it must do without. */
  readonly without?: readonly string[];
  /** The command that starts it, before its own: it must become nodens. */
  readonly startedBy?: readonly string[];
  /** Whether `moveClock` works. */
  readonly hasMovableClock?: boolean;
}

/** Starts one. It ends with its bed at the latest. */
export async function startNodensOnNode(bed: NodeBed, options: NodensOnNodeOptions): Promise<NodensOnNode> {
  const folder = mkdtempSync(join(tmpdir(), "nodens-node-"));
  const settingsFile = join(folder, "nodens.yaml");
  writeFileSync(settingsFile, JSON.stringify(settingsOf(options, folder)));
  const program = join(projectFolder, "src", "nodens.mjs");
  const { hasMovableClock = false } = options;
  const preload = hasMovableClock ? ["--import", join(projectFolder, "test/support/program/movable-clock.ts")] : [];
  const command = [process.execPath, ...preload, program, "serve", "--config", settingsFile];
  const restriction = (options.without ?? []).map((capability) => `-${capability}`).join(",");
  const restricted = restriction === "" ? [] : ["setpriv", "--bounding-set", restriction];
  const [first, ...rest] = [...restricted, ...(options.startedBy ?? []), ...command];
  const child = bed.node.start(first as string, rest, options.env, hasMovableClock);
  let output = "";
  child.stdout?.on("data", (text) => (output += String(text)));
  child.stderr?.on("data", (text) => (output += String(text)));
  const exited = once(child, "exit").then(([code]) => {
    rmSync(folder, { recursive: true, force: true });
    return code as number | null;
  });
  const page = `http://127.0.0.1:${options.adminPort ?? defaultAdminPort}/metrics`;
  const readyFile = join(folder, "probes", "ready");
  const aliveFile = join(folder, "probes", "alive");

  async function series(name: string, label: string): Promise<number[]> {
    const { stdout } = await bed.node.run("curl", ["-sf", "--max-time", "2", page]);
    const lines = stdout.split("\n").filter((text) => text.startsWith(name) && text.includes(label));
    return lines.map((line) => Number(line.split(" ").at(-1)));
  }

  async function metric(name: string, label = ""): Promise<number | undefined> {
    return (await series(name, label))[0];
  }

  const nodens: NodensOnNode = {
    process: child,
    output: () => output,
    metric,
    async metricSum(name, label) {
      return (await series(name, label)).reduce((sum, value) => sum + value, 0);
    },
    isReady: () => existsSync(readyFile),
    aliveAgeMs: () => (existsSync(aliveFile) ? Date.now() - statSync(aliveFile).mtimeMs : undefined),
    reload(settings) {
      writeFileSync(settingsFile, JSON.stringify(settingsOf({ ...options, settings }, folder)));
      child.kill("SIGHUP");
    },
    async moveClock(move) {
      if (!child.connected) throw new Error("this nodens has no movable clock");
      const moved = once(child, "message");
      child.send(move);
      await moved;
    },
    stop() {
      if (child.exitCode === null && child.signalCode === null) child.kill("SIGTERM");
      return exited;
    },
  };
  if (options.waitUntilAttached === false) return nodens;
  await until(
    "nodens is ready",
    () => {
      if (child.exitCode !== null) throw new Error(`nodens ended with ${child.exitCode}: ${output}`);
      return nodens.isReady();
    },
    patienceMs,
  ).catch((error: Error) => {
    throw new Error(`${error.message}; it says:\n${output}`);
  });
  if (options.mode !== "intercept") return nodens;
  await until("nodens intercepts", async () => (await metric("nodens_failopen")) === 0, patienceMs);
  return nodens;
}

/** How many tables rewrite what pods send to the Service at this moment. */
export async function interceptingTables(bed: NodeBed): Promise<number> {
  const { stdout } = await bed.node.run("nft", ["list", "sets", "inet"]);
  return stdout.split(/(?=\tset )/).filter((set) => set.startsWith("\tset alive4 ") && set.includes(bedAddress.service))
    .length;
}

/** The names of all tables that rewrite, or would if a Service were in their sets. */
export async function interceptTables(bed: NodeBed): Promise<string[]> {
  const { stdout } = await bed.node.run("nft", ["list", "tables", "inet"]);
  return [...stdout.matchAll(/nodens_[0-9a-f]+/g)].map(([table]) => table);
}

/** Settings with which pods of both families reach nodens in the way of the mode. */
export function settingsForBothFamilies(mode: AttachMode): Record<string, Record<string, unknown>> {
  const { node, node6, own, own6, service, service6 } = bedAddress;
  return {
    ...(mode === "host-ip" && { listen: { addresses: [`${node}:53`, `[${node6}]:53`] } }),
    attach: { mode, addresses: [own, own6] },
    upstream: { servers: [service, service6] },
  };
}

const defaultAdminPort = 9253;

function settingsOf(
  { mode, settings = {}, adminPort = defaultAdminPort }: NodensOnNodeOptions,
  folder: string,
): Record<string, unknown> {
  const base: Record<string, Record<string, unknown>> = {
    listen: { addresses: mode === "host-ip" ? [`${bedAddress.node}:53`] : [], batch: batchOfTests() },
    attach: { mode },
    upstream: { servers: [bedAddress.service] },
    admin: { address: `127.0.0.1:${adminPort}` },
    probes: { directory: join(folder, "probes") },
    search: { resolvConf: "" },
    shutdown: { drainMs: 500 },
  };
  const groups = new Set([...Object.keys(base), ...Object.keys(settings)]);
  return Object.fromEntries([...groups].map((group) => [group, { ...base[group], ...settings[group] }]));
}
