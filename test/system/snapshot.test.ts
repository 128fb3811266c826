/*
 * nodens as the image has it: bundled, and begun with a snapshot of its loaded modules that another process has made.
 */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { parseMappings } from "../../src/runtime/memory-mappings.ts";
import { peakResidentBytes } from "../support/program/process-memory.ts";
import { makeShippedForm, type ShippedForm } from "../support/program/shipped-form.ts";
import { findFreePort } from "../support/servers/free-port.ts";
import { until } from "../support/servers/scripted-upstream.ts";

const run = promisify(execFile);
const settingsOf = (port: number, adminPort: number, batch: string) => ({
  listen: { addresses: [`127.0.0.1:${port}`], batch },
  admin: { address: `127.0.0.1:${adminPort}` },
  upstream: { embedded: true },
  search: { resolvConf: "" },
  shutdown: { drainMs: 0 },
});

describe("nodens in the form of the image", () => {
  let folder: string;
  let form: ShippedForm;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "nodens-form-"));
    form = await makeShippedForm(folder);
  }, 60_000);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  async function startServing(
    batch = "auto",
  ): Promise<{ pid: number; port: number; adminPort: number; metrics: string }> {
    const [port, adminPort] = [await findFreePort(), await findFreePort()];
    const file = join(folder, `${port}.yaml`);
    writeFileSync(file, JSON.stringify(settingsOf(port, adminPort, batch)));
    const [program = "", ...args] = form.line;
    const child = spawn(program, [...args, "serve", "--config", file], { env: form.env, stdio: "ignore" });
    onTestFinished(async () => {
      const ended = child.exitCode === null ? once(child, "exit") : undefined;
      child.kill("SIGTERM");
      await ended;
    });
    const page = (path: string) => fetch(`http://127.0.0.1:${adminPort}${path}`);
    await until("nodens is ready", () =>
      page("/readyz").then(
        ({ ok }) => ok,
        () => false,
      ),
    );
    return { pid: child.pid ?? 0, port, adminPort, metrics: await (await page("/metrics")).text() };
  }

  async function runCommand(...words: readonly string[]): Promise<string> {
    const [program = "", ...args] = form.line;
    return (await run(program, [...args, ...words], { env: form.env })).stdout;
  }

  test("serves, and asks and explains", async () => {
    const { port } = await startServing();
    const name = "kubernetes.default.svc.cluster.local";
    expect(await runCommand("query", name, "--server", `127.0.0.1:${port}`, "--short")).toBe("10.96.0.1\n");
    expect(await runCommand("explain", "www.example.com")).toContain("www.example.com");
  });

  test("runs its commands in 25 MB more than bare Node.js, because the memory limit is the server's", async () => {
    const { port, adminPort } = await startServing();
    const against = ["--against", `127.0.0.1:${adminPort}`];
    const bareBytes = await peakOf([process.execPath, "-e", "setTimeout(() => {}, 200)"]);
    const commands = [
      ["top", "--once", ...against],
      ["tail", ...against],
      ["advise", ...against],
      ["cache", "show", "kubernetes.default.svc.cluster.local", ...against],
      ["explain", "www.example.com", ...against],
      ["explain", "www.example.com"],
      ["doctor", "--server", `127.0.0.1:${port}`, ...against],
      ["doctor", "--watch", "3s", "--server", `127.0.0.1:${port}`, ...against],
    ];
    for (const words of commands)
      expect((await peakOf([...form.line, ...words])) - bareBytes, words.join(" ")).toBeLessThan(25 * 1024 * 1024);
  });

  /** The most memory that a process was seen with before it ended, in bytes. */
  async function peakOf([program = "", ...args]: readonly string[]): Promise<number> {
    const child = spawn(program, args, { env: form.env, stdio: "ignore" });
    let peakBytes = 0;
    const looking = setInterval(() => {
      try {
        peakBytes = Math.max(peakBytes, peakResidentBytes(child.pid));
      } catch {
        // It has ended: what it had was looked at before.
      }
    }, 2);
    await once(child, "exit");
    clearInterval(looking);
    return peakBytes;
  }

  test("gives back the snapshot that Node.js holds, and goes on", async () => {
    const { pid, port, adminPort } = await startServing();
    const snapshotBytes = statSync(join(folder, "nodens.blob")).size;
    const holdsSnapshot = () =>
      parseMappings(readFileSync(`/proc/${pid}/smaps`, "latin1")).some(
        ({ isOfFile, isExecutable, anonymousBytes }) =>
          !isOfFile && !isExecutable && anonymousBytes > 0.95 * snapshotBytes && anonymousBytes < 1.05 * snapshotBytes,
      );
    expect(holdsSnapshot()).toBe(true);
    await until("the snapshot is given back", () => !holdsSnapshot());
    const name = "dns-version.cluster.local";
    expect(await runCommand("query", name, "TXT", "--server", `127.0.0.1:${port}`, "--short")).toContain("1.1.0");
    expect((await fetch(`http://127.0.0.1:${adminPort}/metrics`)).ok).toBe(true);
  });

  test("has commands that import no module of Node.js, which would read and so load all that it exports", () => {
    const commands = readdirSync(join(folder, "on-demand")).filter((file) => file.endsWith(".mjs"));
    const importing = commands.filter((file) =>
      /\bfrom\s*["'`]node:/.test(readFileSync(join(folder, "on-demand", file), "utf8")),
    );
    expect(commands).toContain("doctor.mjs");
    expect(importing).toEqual([]);
  });

  test("has nothing of a module that is loaded at its first use: what would be copied out of it beforehand is not there", () => {
    const code = readFileSync(join(folder, "snapshot.cjs"), "utf8");
    const names = [...code.matchAll(/([\w$]+)\s*=\s*whenUsed\(/g)].map(([, name = ""]) => name);
    expect(names).toContain("node_child_process");
    const wrapped = names.filter((name) => code.includes(`__toESM(${name}`));
    expect(wrapped).toEqual([]);
  });

  test("finds the C library and the event loop of its own process, and so receives in batches", async () => {
    const ownSockets = ({ metrics }: { metrics: string }) =>
      Number(/^nodejs_active_resources\{type="UDPWrap"\} (\d+)$/m.exec(metrics)?.[1] ?? 0);
    expect(ownSockets(await startServing())).toBeLessThan(ownSockets(await startServing("off")));
  });

  test("tells when the process started, and not when the snapshot was made", async () => {
    const before = Date.now() / 1000;
    const { metrics } = await startServing();
    const startedAt = Number(/^process_start_time_seconds (\d+)$/m.exec(metrics)?.[1]);
    expect(startedAt).toBeGreaterThanOrEqual(Math.floor(before));
  });

  test("reads the environment and the command line of its own process", async () => {
    const [program = "", ...args] = form.line;
    const env = { ...form.env, NODENS_REVISION: "abc1234" };
    expect((await run(program, [...args, "version"], { env })).stdout).toContain("(revision abc1234)");
  });
});
