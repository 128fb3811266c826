/*
 * `npm start` and `npm test` install what is missing first (scripts/install.mjs), with the machine's own npm and Node.
 */
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { projectFolder } from "../support/program/run-nodens.ts";

describe("the locked dependencies", () => {
  test("are installed when the lock file is newer than they are", () => {
    const folder = createProject();
    install(folder);
    expect(wasInstalled(folder)).toBe(true);
  });

  test("are left alone when they are as new as the lock file", () => {
    const folder = createProject();
    utimesSync(join(folder, "package-lock.json"), 0, 0);
    install(folder);
    expect(wasInstalled(folder)).toBe(false);
  });

  test("are left alone where their folder is a link to somebody else's", () => {
    const owner = createProject();
    const folder = createProject();
    rmSync(join(folder, "node_modules"), { recursive: true });
    symlinkSync(join(owner, "node_modules"), join(folder, "node_modules"));
    install(folder);
    expect(wasInstalled(folder)).toBe(false);
  });
});

/** A project whose lock file is newer than its node_modules, and an npm that only leaves a note of being called. */
function createProject(): string {
  const folder = mkdtempSync(join(tmpdir(), "nodens-install-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  for (const sub of ["scripts", "tools", "node_modules/.bin"]) mkdirSync(join(folder, sub), { recursive: true });
  copyFileSync(join(projectFolder, "scripts/install.mjs"), join(folder, "scripts/install.mjs"));
  for (const file of ["package-lock.json", "node_modules/.package-lock.json", "node_modules/.bin/node"])
    writeFileSync(join(folder, file), "");
  utimesSync(join(folder, "node_modules/.package-lock.json"), 1, 1);
  writeFileSync(join(folder, "tools/npm"), "#!/bin/sh\ntouch installed\n");
  chmodSync(join(folder, "tools/npm"), 0o755);
  return folder;
}

function install(folder: string): void {
  const env = { ...process.env, PATH: `${join(folder, "tools")}:${process.env["PATH"]}` };
  execFileSync(process.execPath, [join(folder, "scripts/install.mjs")], { env, stdio: "ignore" });
}

function wasInstalled(folder: string): boolean {
  return existsSync(join(folder, "installed"));
}
