/*
 * The log: one JSON object a line on standard error, so that standard output stays free for what a command is asked to print.
 */
import { type Level, type Logger, pino, stdTimeFunctions } from "pino";
import { toPrintable } from "../runtime/printable.ts";
import { createLineWriter, type LineWriter } from "./line-writer.ts";

/** Writes lines: `logger.info({ server }, "is back")`. */
export type { Logger };

/** The least important level that is written (settings: log.level). */
export type LogLevel = Level | "silent";

/** How to log. */
export interface LogOptions {
  readonly level: LogLevel;
  /** Where lines go instead of standard error. */
  readonly destination?: LineWriter;
}

const standardErrorDescriptor = 2;

/**
 * Creates a logger whose lines begin with `level` (its name) and `time` (ISO 8601, UTC); an error goes under the key `err`. Nothing in
 * a line is obeyed by a terminal: JSON alone would let some control characters through.
 */
export function createLogger({ level, destination = createLineWriter(standardErrorDescriptor) }: LogOptions): Logger {
  const printable = { write: (line: string) => destination.write(toPrintable(line)) };
  return pino(
    {
      level,
      // No process ID and host name: the collector of logs knows them better.
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (name) => ({ level: name }) },
    },
    printable,
  );
}

/** Changes what a logger writes from now on. */
export function setLevel(logger: Logger, level: LogLevel): void {
  logger.level = level;
}
