/*
 * The log: one JSON object a line on standard error, so that standard output stays free for what a command is asked to print.
 */
import { type Level, type Logger, pino, stdTimeFunctions } from "pino";
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
 * Creates a logger whose lines begin with `level` (its name) and `time` (ISO 8601, UTC); an error goes under the key `err`.
 */
export function createLogger({ level, destination = createLineWriter(standardErrorDescriptor) }: LogOptions): Logger {
  return pino(
    {
      level,
      // No process ID and host name: the collector of logs knows them better.
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (name) => ({ level: name }) },
    },
    destination,
  );
}

/** Changes what a logger writes from now on. */
export function setLevel(logger: Logger, level: LogLevel): void {
  logger.level = level;
}
