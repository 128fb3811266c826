/* The log as the parts of nodens see it. */

/** Receives log lines: each call is one line, with its fields. */
export interface Log {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}
