/*
 * Tests that need a tool or root: skipped where that is missing, which the end of the run then says (report-skipped.ts); under CI a
 * missing tool is a failure.
 */
import { accessSync, constants, existsSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { delimiter, isAbsolute, join } from "node:path";
import { describe, test } from "vitest";
import { canMakeCgroups } from "./cgroups.ts";

declare module "vitest" {
  interface TaskMeta {
    /** On a skipped test: what the machine lacks for it. */
    missing?: readonly Requirement[];
  }
}

/** Whether nothing may be skipped. */
const isCi = process.env["CI"] === "true";

/** What a suite may need: a command on PATH, a file by its full path, "root", "cgroups" that may be made, "::1", or "CI=true" where it takes minutes. */
export type Requirement = string;

/** Which of the requirements this machine lacks. */
export function missingRequirements(requirements: readonly Requirement[]): Requirement[] {
  return requirements.filter((requirement) => !isThere(requirement));
}

function isThere(requirement: Requirement): boolean {
  if (requirement === "CI=true") return isCi;
  if (requirement === "root") return process.getuid?.() === 0;
  if (requirement === "cgroups") return canMakeCgroups();
  if (requirement === "::1")
    return Object.values(networkInterfaces())
      .flat()
      .some((own) => own?.address === "::1");
  return isAbsolute(requirement) ? existsSync(requirement) : findCommand(requirement) !== undefined;
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
    test.skip(reason, { meta: { missing } }, () => {});
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
