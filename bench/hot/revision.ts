/*
 * A revision of the project in a temporary folder, so that it can be measured beside the working tree.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { projectFolder } from "../../test/support/program/run-nodens.ts";

/** A revision, checked out. */
export interface CheckedOut {
  readonly folder: string;
  readonly commit: string;
  remove(): void;
}

/**
 * Checks `revision` out, with the packages of the working tree. Benchmarks that it lacks are copied from the working tree, its own
 * stay: they know how its functions are called.
 */
export function checkOut(revision: string): CheckedOut | "unknown" {
  const git = (args: readonly string[]) => execFileSync("git", args, { cwd: projectFolder, stdio: "pipe" });
  const name = ["rev-parse", "--short", "--verify", "--quiet", "--end-of-options", `${revision}^{commit}`];
  const commit = spawnSync("git", name, { cwd: projectFolder, encoding: "utf8" }).stdout.trim();
  if (commit === "") return "unknown";
  const folder = mkdtempSync(join(tmpdir(), "nodens-bench-"));
  const remove = () => {
    rmSync(folder, { recursive: true, force: true });
    git(["worktree", "prune"]);
  };
  try {
    git(["worktree", "add", "--detach", join(folder, "tree"), commit]);
    const tree = join(folder, "tree");
    cpSync(join(projectFolder, "bench", "hot"), join(tree, "bench", "hot"), { recursive: true, force: false });
    symlinkSync(join(projectFolder, "node_modules"), join(tree, "node_modules"));
    return { folder: tree, commit, remove };
  } catch (error) {
    remove();
    throw error;
  }
}
