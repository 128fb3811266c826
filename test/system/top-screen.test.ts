/*
 * `nodens top` on a real terminal of 80 × 24: what stands on the screen, key by key.
 */
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { describeWith } from "../support/program/requirements.ts";
import { projectFolder, runNodens } from "../support/program/run-nodens.ts";
import { until } from "../support/servers/scripted-upstream.ts";

const patienceMs = 20_000;

/** A terminal that runs `command`, and is closed after the test. */
function openTerminal(command: readonly string[]) {
  const name = `nodens-${randomBytes(4).toString("hex")}`;
  const tmux = (...args: string[]) =>
    execFileSync("tmux", ["-L", name, ...args], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  tmux("-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24", ...command);
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
});

/** Without its only program, the terminal is gone. */
function isRunning(screen: () => string): boolean {
  try {
    screen();
    return true;
  } catch {
    return false;
  }
}
