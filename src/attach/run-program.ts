/*
 * Runs a program of the system to its end: `ip`, `nft`.
 */
import { type ChildProcess, spawn } from "node:child_process";

/** How it ended. `code` is null when a signal ended it, or when the system could not start it. */
export interface ProgramResult {
  readonly code: number | null;
  readonly stdout: string;
  /** Without the white space around it. */
  readonly stderr: string;
}

/** Runs `program`, with `input` on its standard input. A program that is not installed ends with code 127. */
export type RunProgram = (program: string, args: readonly string[], input?: string) => Promise<ProgramResult>;

/** A program that hangs (on a lock, say) is ended after this long. */
const timeoutMs = 10_000;

/** The exit code for a program that is not installed, as in shells. */
export const notStarted = 127;

/** Runs real programs. */
export const runProgram: RunProgram = (program, args, input = "") =>
  new Promise((resolve) => {
    const child: ChildProcess = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"], timeout: timeoutMs });
    // First of all: an error that nobody listens for would end nodens. Without free descriptors, the streams are missing.
    child.on("error", (error: NodeJS.ErrnoException) =>
      resolve({ code: error.code === "ENOENT" ? notStarted : null, stdout: "", stderr: error.message }),
    );
    let stdout = "";
    let stderr = "";
    child.stdout?.setEncoding("utf8").on("data", (text: string) => (stdout += text));
    child.stderr?.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    child.on("close", (code) => resolve({ code, stdout, stderr: stderr.trim() }));
    // It may end without reading.
    child.stdin?.on("error", () => {});
    child.stdin?.end(input);
  });
