/*
 * `nodens query NAME [TYPE]`: a small dig. It shows what a reply says and, as far as that can be known, where it came from.
 */
import { askQuestion } from "../query/ask-question.ts";
import { printReply, printShort } from "../query/print-reply.ts";
import { readRequest, type RequestFlags } from "../query/read-request.ts";
import { type Clock, pauseAwake, systemClock } from "../runtime/clock.ts";
import { ExitCode } from "./exit-code.ts";

/** The flags of `query`, as the command line has them. */
export interface QueryFlags extends RequestFlags {
  readonly twice?: boolean | undefined;
  readonly short?: boolean | undefined;
  readonly json?: boolean | undefined;
}

/** What `query` needs from the process. `write` and `writeError` receive whole lines, line endings included. */
export interface QueryOptions {
  readonly write: (text: string) => void;
  readonly writeError: (text: string) => void;
  readonly clock?: Clock;
  /** Waits between the two questions of `twice`. Unlike the clock's timers, it must keep the process alive. */
  readonly pause?: (delayMs: number) => Promise<unknown>;
}

/**
 * Asks and prints. Resolves with the exit code: 0 when a reply came, whatever it says; 64 for a name, type, server or timeout that
 * cannot be used; 69 when no reply came.
 */
export async function query(
  name: string,
  type: string | undefined,
  flags: QueryFlags,
  options: QueryOptions,
): Promise<number> {
  const { write, writeError, clock = systemClock, pause = pauseAwake } = options;
  const fail = (reason: string, exitCode: number): number => {
    writeError(`nodens: ${reason}\n`);
    return exitCode;
  };
  const request = readRequest(name, type, flags);
  if ("wrong" in request) return fail(request.wrong, ExitCode.usage);

  const first = await askQuestion(request, clock);
  if ("failure" in first) return fail(first.failure, ExitCode.unavailable);
  if (flags.short === true) {
    printShort(first, { write, writeError });
    return ExitCode.ok;
  }
  if (flags.twice === true) await pause(pauseMs);
  const second = flags.twice === true ? await askQuestion(request, clock) : undefined;
  if (second !== undefined && "failure" in second)
    return fail(`when asked again: ${second.failure}`, ExitCode.unavailable);
  printReply(first, second && { ...second, pauseMs }, { write, asJson: flags.json === true });
  return ExitCode.ok;
}

/** Over a second, so that a TTL that counts down has dropped by at least one. */
const pauseMs = 1_100;
