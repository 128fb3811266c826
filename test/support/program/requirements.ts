/*
 * Tests that need a tool or root: skipped with a line that names what is missing, except under CI, where a missing tool is a failure.
 */
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { describe, test } from "vitest";

/** Whether nothing may be skipped. */
export const isCi = process.env["CI"] === "true";

/** What a suite may need: the name of a command on PATH, or "root". */
export type Requirement = string;

/** Which of the requirements this machine lacks. */
export function missingRequirements(requirements: readonly Requirement[]): Requirement[] {
  return requirements.filter((name) => (name === "root" ? process.getuid?.() !== 0 : findCommand(name) === undefined));
}

/**
 * `describe` for a suite with requirements. Where one is missing the suite is one skipped test whose name says what is
 * missing; with CI=true it is one failing test instead, since there nothing may be skipped.
 */
export function describeWith(requirements: readonly Requirement[], name: string, suite: () => void): void {
  const missing = missingRequirements(requirements);
  if (missing.length === 0) {
    describe(name, suite);
    return;
  }
  const reason = `${name}: needs ${missing.join(", ")}`;
  if (!isCi) {
    test.skip(reason, () => {});
    return;
  }
  test(reason, () => {
    throw new Error(`CI must not skip: install ${missing.join(", ")}`);
  });
}

/** The full path of a command, also looked for in the sbin folders that a user's PATH often lacks. Undefined where absent. */
export function findCommand(name: string): string | undefined {
  const folders = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/local/sbin", "/usr/sbin", "/sbin"];
  return folders.map((folder) => join(folder, name)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
