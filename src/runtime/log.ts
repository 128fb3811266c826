/* What parts that have something to say are given. */

/** Receives log lines: one call, one line, with its fields. */
export interface Log {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}
