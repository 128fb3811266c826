/*
 * What nodens says when it ends, in the numbers of sysexits.h where there is one.
 */

/** Exit codes of all commands. The manual lists them. */
export const ExitCode = {
  ok: 0,
  /** Something that must not happen. The log says what. */
  unexpected: 1,
  /** The command line is wrong. */
  usage: 64,
  /** Done, but not all could be carried over. */
  incomplete: 65,
  /** An address is in use, or nobody replies. */
  unavailable: 69,
  /** The system refuses: no such address, no descriptors. */
  system: 71,
  /** No permission for a port. */
  noPermission: 77,
  /** The settings are wrong or unreadable, or this Node.js is too old. */
  configuration: 78,
} as const;

/** The exit code for an address that could not be opened, by the system's error code. */
export function exitCodeOfListenError(code: string): number {
  if (code === "EADDRINUSE") return ExitCode.unavailable;
  return code === "EACCES" || code === "EPERM" ? ExitCode.noPermission : ExitCode.system;
}
