/*
 * The programs that render and judge manifests. What Go installed is found without being on the PATH.
 */
import { execFileSync } from "node:child_process";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import type { Requirement } from "../program/requirements.ts";

const goFolders = [join(process.env["GOPATH"] ?? join(homedir(), "go"), "bin"), "/usr/local/go/bin"];
process.env["PATH"] = [process.env["PATH"] ?? "", ...goFolders].join(delimiter);

/** What rendering needs; scripts/install-deploy-tools.sh installs both. */
export const renderers: readonly Requirement[] = ["kustomize", "helm"];

/** Runs one of the programs and returns what it prints. Throws with what it complains of. */
export function runTool(
  program: string,
  args: readonly string[],
  options: { input?: string; cwd?: string; env?: NodeJS.ProcessEnv } = {},
): string {
  return execFileSync(program, args, { input: "", ...options, encoding: "utf8", stdio: "pipe" });
}
