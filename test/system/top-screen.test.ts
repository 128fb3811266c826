/*
 * `nodens top` on a real terminal of 80 × 24: what stands on the screen, key by key.
 */
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { ask } from "../support/program/nodens-and-upstream.ts";
import { childrenOf } from "../support/program/process-children.ts";
import { describeWith } from "../support/program/requirements.ts";
import { projectFolder, runNodens } from "../support/program/run-nodens.ts";
import { until } from "../support/servers/scripted-upstream.ts";

const patienceMs = 20_000;

/** A terminal that runs `command`, and is closed after the test. */
function openTerminal(command: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const name = `nodens-${randomBytes(4).toString("hex")}`;
  const tmux = (...args: string[]) =>
    execFileSync("tmux", ["-L", name, ...args], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  const variables = Object.entries(env).flatMap(([key, value]) => ["-e", `${key}=${value}`]);
  tmux("-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24", ...variables, ...command);
  onTestFinished(() => {
    try {
      tmux("kill-server");
    } catch {
      // It ended with its program.
    }
  });
  return {
    press: (...keys: string[]) => void tmux("send-keys", ...keys),
    screen: () => tmux("capture-pane", "-p"),
    shellPid: () => Number(tmux("display-message", "-p", "#{pane_pid}")),
    colours: () => tmux("capture-pane", "-p", "-e").includes("\u001B["),
  };
}

describeWith(["tmux"], "nodens top on a terminal", () => {
  test("shows the ribbon and clients, another tab, the keys, and what a name goes through", async () => {
    const nodens = await runNodens({});
    onTestFinished(async () => void (await nodens.stop()));
    const program = join(projectFolder, "src", "nodens.mjs");
    const against = new URL(nodens.adminUrl).host;
    const { press, screen } = openTerminal([process.execPath, program, "top", "--against", against]);
    const shows = (text: string) => until(`the screen shows ${text}`, () => screen().includes(text), patienceMs);
    await shows("[1 clients]");
    const lines = screen().trimEnd().split("\n");
    expect(lines[0]).toMatch(/^ nodens \S+ on \S+ · none · ready/);
    expect(lines.some((line) => line.startsWith(" pods 0 q/s →"))).toBe(true);
    expect(lines.length).toBeLessThanOrEqual(24);
    expect(lines.at(-1)).toContain("? help");
    press("5");
    await shows("[5 upstream]");
    press("?");
    await shows("write the recorded queries");
    press("x");
    await shows("[5 upstream]");
    press("e", "w", "e", "b", "Enter");
    await shows("web + default.svc.cluster.local");
    press("q");
    await until("it ends", () => !isRunning(screen), patienceMs);
  });

  test("sorts, stands still, filters by what is typed and by the chosen client, and writes the record", async () => {
    const { top, shows, folder } = await topWithQueries();
    await shows("127.0.0.1");
    top.press("s");
    await shows("by waits");
    top.press("Space");
    await shows("FROZEN");
    top.press("Space");
    await until("it goes on", () => !top.screen().includes("FROZEN"), patienceMs);
    top.press("/", "n", "o", "b", "o", "d", "y", "Enter");
    await shows("only what has 'nobody' in it");
    expect(top.screen()).not.toContain("127.0.0.1");
    top.press("Escape");
    await shows("127.0.0.1");
    top.press("Enter");
    await shows("only what has '127.0.0.1' in it");
    top.press("w");
    await shows("written: ");
    const files = readdirSync(folder, { recursive: true, encoding: "utf8" });
    const written = files.find((name) => name.endsWith(".json")) ?? "";
    expect(readFileSync(join(folder, written), "utf8")).toContain("www.example.com");
  });

  test("says so where the record cannot be written, and goes on", async () => {
    const { top, shows, folder } = await topWithQueries();
    rmSync(folder, { recursive: true });
    await shows("127.0.0.1");
    top.press("w");
    await shows("not written (ENOENT)");
    top.press("5");
    await shows("[5 upstream]");
  });

  test("an explanation that is longer than the screen is scrolled to its advice", async () => {
    const { top, shows } = await topWithQueries();
    await shows("127.0.0.1");
    top.press("e", ..."www.example.com", "Enter");
    await shows("any other key goes back");
    expect(top.screen()).not.toContain("with a final dot");
    for (let line = 0; line < 20; line += 1) top.press("Down");
    await shows("with a final dot");
    top.press("x");
    await shows("[1 clients]");
  });

  test("goes on when nodens is gone, says so, and shows the next one", async () => {
    const { top, shows, nodens } = await topWithQueries();
    await shows("127.0.0.1");
    await nodens.stop();
    await shows("NO ANSWER");
    expect(top.screen()).toContain("[1 clients]");
    const next = await runNodens({ settings: { admin: { address: new URL(nodens.adminUrl).host } } });
    onTestFinished(async () => void (await next.stop()));
    await until("it has an answer", () => !top.screen().includes("NO ANSWER"), patienceMs);
  });

  test("gives the terminal back when it is ended by a signal", async () => {
    const nodens = await runNodens({});
    onTestFinished(async () => void (await nodens.stop()));
    const program = join(projectFolder, "src", "nodens.mjs");
    const script = 'echo before; "$@"; echo "ended with $?"; stty -a; exec sleep 60';
    const command = [process.execPath, program, "top", "--against", new URL(nodens.adminUrl).host];
    const { screen, shellPid } = openTerminal(["sh", "-c", script, "sh", ...command]);
    await until("it shows", () => screen().includes("[1 clients]"), patienceMs);
    for (const pid of childrenOf(shellPid())) process.kill(pid, "SIGTERM");
    await until("it has ended", () => screen().includes("ended with 143"), patienceMs);
    expect(screen()).toContain("before");
    expect(screen()).toMatch(/ icanon\b.* echo\b/s);
  });

  test.each([
    ["has colours", {}, true],
    ["has none where NO_COLOR is set", { NO_COLOR: "1" }, false],
  ])("%s", async (_name, env, expected) => {
    const { top, shows } = await topWithQueries(env);
    await shows("127.0.0.1");
    expect(top.colours()).toBe(expected);
  });
});

/** `top` on a terminal, beside a nodens that 127.0.0.1 has asked for www.example.com; what it writes goes to `folder`. */
async function topWithQueries(env: Readonly<Record<string, string>> = {}) {
  const nodens = await runNodens({});
  onTestFinished(async () => void (await nodens.stop()));
  const folder = mkdtempSync(join(tmpdir(), "nodens-top-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  await ask("udp", nodens.port, "www.example.com");
  const program = join(projectFolder, "src", "nodens.mjs");
  const command = [process.execPath, program, "top", "--against", new URL(nodens.adminUrl).host];
  const top = openTerminal(command, { TMPDIR: folder, ...env });
  const shows = (text: string) => until(`the screen shows ${text}`, () => top.screen().includes(text), patienceMs);
  return { top, shows, folder, nodens };
}

/** Without its only program, the terminal is gone. */
function isRunning(screen: () => string): boolean {
  try {
    screen();
    return true;
  } catch {
    return false;
  }
}
