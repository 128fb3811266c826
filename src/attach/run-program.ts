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

/**
 * Runs `program` and gives each line that it prints to `take`, without the line's end. Nothing is kept: what a program lists may be larger than
 * the memory that a container has. A line of more than 64 KiB is cut.
 */
export type EachLine = (
  program: string,
  args: readonly string[],
  take: (line: string) => void,
) => Promise<Omit<ProgramResult, "stdout">>;

/** A program that hangs (on a lock, say) is ended after this long. */
const timeoutMs = 10_000;

/** The exit code for a program that is not installed, as in shells. */
export const notStarted = 127;

const maxLineLength = 65_536;

/** Runs real programs. */
export const runProgram: RunProgram = async (program, args, input = "") => {
  let stdout = "";
  const ended = await run(program, args, input, (text) => (stdout += text));
  return { ...ended, stdout };
};

/** Runs real programs, for their lines. */
export const eachLineOf: EachLine = async (program, args, take) => {
  let unfinished = "";
  const ended = await run(program, args, "", (text) => {
    const [first = "", ...others] = text.split("\n");
    const lines = [unfinished + first, ...others];
    unfinished = (lines.pop() ?? "").slice(0, maxLineLength);
    for (const line of lines) take(line);
  });
  if (unfinished !== "") take(unfinished);
  return ended;
};

function run(
  program: string,
  args: readonly string[],
  input: string,
  take: (text: string) => void,
): Promise<Omit<ProgramResult, "stdout">> {
  return new Promise((resolve) => {
    const child: ChildProcess = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"], timeout: timeoutMs });
    // First of all: an error that nobody listens for would end nodens. Without free descriptors, the streams are missing.
    child.on("error", (error: NodeJS.ErrnoException) =>
      resolve({ code: error.code === "ENOENT" ? notStarted : null, stderr: error.message }),
    );
    let stderr = "";
    child.stdout?.setEncoding("utf8").on("data", take);
    child.stderr?.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    child.on("close", (code) => resolve({ code, stderr: stderr.trim() }));
    // It may end without reading.
    child.stdin?.on("error", () => {});
    child.stdin?.end(input);
  });
}
