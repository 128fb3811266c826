/*
 * Standard output and standard error of the real program: closed, full, unread, and on a terminal that would obey what others chose.
 */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, onTestFinished, test } from "vitest";
import { ask } from "../support/program/nodens-and-upstream.ts";
import { describeWith } from "../support/program/requirements.ts";
import { projectFolder, runNodens } from "../support/program/run-nodens.ts";
import { until } from "../support/servers/scripted-upstream.ts";

const folder = mkdtempSync(join(tmpdir(), "nodens-streams-"));
const settings = join(folder, "nodens.yaml");
const corefile = join(folder, "Corefile");
writeFileSync(settings, "upstream: { servers: [192.0.2.1] }\n");
writeFileSync(corefile, "cluster.local:53 {\n  forward . 192.0.2.1\n}\n");

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Each verb that prints, with what it takes to print something. */
const verbs: readonly (readonly string[])[] = [
  ["check", settings],
  ["migrate", corefile],
  ["explain", "www.example.com"],
  ["version"],
  ["help"],
];

/** What a terminal obeys, and what turns text around. */
const obeyed = /(?!\n)[\p{Cc}\u2028-\u202e]/u;

/** Runs a line of bash in which "$0" and what follows it is the program with these arguments. */
function runInBash(line: string, args: readonly string[]) {
  const words = [process.execPath, join(projectFolder, "src", "nodens.mjs"), ...args];
  const { status, stdout, stderr } = spawnSync("bash", ["-c", `set -o pipefail; ${line}`, ...words], {
    encoding: "utf8",
    timeout: 60_000,
    env: { ...process.env, NODE_OPTIONS: "" },
  });
  return { status, stdout, stderr };
}

describeWith(["bash", "/dev/full"], "a verb that prints", () => {
  test.each(verbs)("%s: a reader that has gone, or a closed stream, is nothing to speak of", (...args) => {
    const { stderr } = runInBash('"$0" "$@"', args);
    for (const line of ['"$0" "$@" | (exec 0<&-)', '"$0" "$@" >&-'])
      expect(runInBash(line, args), line).toEqual({ status: 0, stdout: "", stderr });
    expect(runInBash('"$0" "$@" 2>&- >&-', args)).toEqual({ status: 0, stdout: "", stderr: "" });
  });

  test.each(verbs)("%s: a full disk is an error, in one line", (...args) => {
    const { status, stderr } = runInBash('"$0" "$@" >/dev/full', args);
    expect(status).toBe(71);
    expect(stderr).toMatch(/nodens: cannot write to standard output: no space left on device \(ENOSPC\)\n$/);
    expect(stderr).not.toContain("    at ");
  });
});

describe("what a verb is told", () => {
  const escapes = "\u001b[31m\u009b31m\u202e";
  const file = join(folder, `${escapes}.yaml`);
  writeFileSync(file, `"\\e[31m\\x9b31m": 1\nlog: { level: "\\e]0;t\\a\\x9b" }\n# \u009b\n`);

  test.each([
    ["check", file],
    ["check", join(folder, `missing${escapes}`)],
    ["migrate", join(folder, `missing${escapes}`)],
    ["serve", "--config", file],
    [escapes],
    [`--${escapes}`],
    ["query", escapes],
    ["explain", escapes],
    ["explain", "a", "--against", escapes],
    ["explain", "a", "--resolv-conf", file],
  ])("%s %s: comes back without what a terminal would obey", (...args) => {
    const { stdout, stderr } = runInBash('"$0" "$@"', args);
    expect(stdout + stderr).not.toBe("");
    expect(stdout + stderr).not.toMatch(obeyed);
  });
});

describe("serve", () => {
  test("goes on when nobody reads what it prints", async () => {
    const nodens = await runNodens();
    onTestFinished(async () => void (await nodens.stop()));
    const line = '("$0" "$@"; echo "ended with $?" >&2) | (exec 0<&-)';
    const flags = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--upstream", `127.0.0.1:${nodens.port}`];
    const program = [process.execPath, join(projectFolder, "src", "nodens.mjs"), "serve", ...flags];
    const child = spawn("bash", ["-c", line, ...program], { stdio: ["ignore", "ignore", "pipe"], detached: true });
    onTestFinished(() => {
      try {
        process.kill(-(child.pid ?? 0), "SIGKILL");
      } catch {
        // All of it has ended.
      }
    });
    let stderr = "";
    child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
    await until("it is ready or has ended", () => /"ready"|ended with/.test(stderr), 20_000);
    expect(stderr).not.toContain("ended with");
    expect(stderr).not.toContain("EPIPE");
    const ended = once(child, "exit");
    process.kill(-(child.pid ?? 0), "SIGTERM");
    await ended;
  });

  test("logs names that clients chose without what a terminal would obey", async () => {
    const nodens = await runNodens({ settings: { log: { queries: true } } });
    onTestFinished(async () => void (await nodens.stop()));
    const lines: string[] = [];
    nodens.process.stderr?.on("data", (chunk: Buffer) => lines.push(chunk.toString()));
    await ask("udp", nodens.port, "\u001b[31m\u009b.example");
    await until("the query is logged", () => lines.join("").includes('"msg":"query"'));
    expect(lines.join("")).not.toMatch(obeyed);
  });
});
