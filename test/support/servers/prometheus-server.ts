/*
 * A real Prometheus that scrapes every second, and the questions that tests ask it.
 */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { findFreePort } from "./free-port.ts";
import { findCommand } from "../program/requirements.ts";
import { until } from "./scripted-upstream.ts";

/** What it scrapes, and what it makes of it. */
export interface PrometheusOptions {
  /** Its `scrape_configs`; `staticJob` makes one for a single target. */
  readonly scrapeConfigs: readonly object[];
  /** The program: Debian's (default), or the one of test/fixtures/prometheus, which discovers pods. */
  readonly program?: "prometheus" | "prometheus-with-pods";
  /** Groups of rules, as in a rule file; evaluated every second. */
  readonly rules?: object;
  /** The command that runs a command in another network, where Prometheus is to run; then it ends with this process. Needs curl. */
  readonly enter?: (command: readonly string[]) => readonly string[];
}

/** A scrape config for one target, by host and port, with more labels of it. */
export function staticJob(job: string, target: string, labels: Readonly<Record<string, string>> = {}): object {
  return { job_name: job, static_configs: [{ targets: [target], labels }] };
}

/** A series of a query's result with its value as of now. */
export interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A Prometheus that runs. */
export interface PrometheusServer {
  /** Evaluates an expression now. Throws with what Prometheus says of one that it cannot evaluate. */
  query(expression: string): Promise<Sample[]>;
  /** The data of any GET of its HTTP API, such as "/api/v1/rules". */
  get(path: string): Promise<unknown>;
  stop(): Promise<void>;
}

/** Starts it and waits until it answers. Stop it at the end of the test or suite. */
export async function startPrometheus(options: PrometheusOptions): Promise<PrometheusServer> {
  const { scrapeConfigs, program = "prometheus", rules = {}, enter } = options;
  const folder = mkdtempSync(join(tmpdir(), "nodens-prometheus-"));
  const settings = {
    global: { scrape_interval: "1s", scrape_timeout: "1s", evaluation_interval: "1s" },
    rule_files: [join(folder, "rules.yaml")],
    scrape_configs: scrapeConfigs,
  };
  // JSON is YAML.
  writeFileSync(join(folder, "prometheus.yml"), JSON.stringify(settings));
  writeFileSync(join(folder, "rules.yaml"), JSON.stringify(rules));
  const address = `127.0.0.1:${await findFreePort()}`;
  const flags = [
    `--config.file=${join(folder, "prometheus.yml")}`,
    `--storage.tsdb.path=${join(folder, "data")}`,
    `--web.listen-address=${address}`,
  ];
  const command = [findCommand(program) as string, ...flags];
  const [first = "", ...args] = enter === undefined ? command : enter(["setpriv", "--pdeathsig", "KILL", ...command]);
  const child = spawn(first, args, { cwd: folder, stdio: ["ignore", "ignore", "pipe"] });
  let output = "";
  child.stderr.on("data", (chunk: Buffer) => (output += chunk.toString()));
  process.once("exit", () => child.kill("SIGKILL"));

  async function get(path: string): Promise<unknown> {
    if (child.exitCode !== null) throw new Error(`prometheus ended with ${child.exitCode}:\n${output}`);
    const reply = JSON.parse(await fetchText(`http://${address}${path}`, enter)) as { data?: unknown; error?: string };
    if (reply.error !== undefined) throw new Error(`prometheus says to ${path}: ${reply.error}`);
    return reply.data;
  }

  async function isListening(): Promise<boolean> {
    if (child.exitCode !== null) throw new Error(`prometheus ended with ${child.exitCode}:\n${output}`);
    return fetchText(`http://${address}/-/ready`, enter).then(
      (text) => text.includes("is Ready"),
      () => false,
    );
  }

  async function stop(): Promise<void> {
    if (child.exitCode === null) {
      const gone = once(child, "exit");
      child.kill("SIGTERM");
      await gone;
    }
    rmSync(folder, { recursive: true, force: true });
  }

  await until("Prometheus is ready", isListening, 30_000).catch(async (error: unknown) => {
    await stop();
    throw error;
  });
  return {
    get,
    stop,
    async query(expression) {
      const data = await get(`/api/v1/query?query=${encodeURIComponent(expression)}`);
      const { result } = data as { result: { metric: Record<string, string>; value: [number, string] }[] };
      return result.map(({ metric, value }) => ({ metric, value: Number(value[1]) }));
    },
  };
}

/** What is there, whatever the status. Rejects when nobody answers. */
async function fetchText(url: string, enter: PrometheusOptions["enter"]): Promise<string> {
  if (enter === undefined) return (await fetch(url)).text();
  const [program = "", ...args] = enter(["curl", "-s", url]);
  return (await promisify(execFile)(program, args, { maxBuffer: 2 ** 26 })).stdout;
}
