/*
 * The exit codes of nodens: those of sysexits.h wherever one fits.
 */

/** Exit codes of all commands. The manual lists them. */
export const ExitCode = {
  ok: 0,
  /** Something that should never happen, and the log or standard error says what; or what was asked about is not there. */
  unexpected: 1,
  /** The command line is wrong. */
  usage: 64,
  /** Done, but not everything could be carried over. */
  incomplete: 65,
  /** An address is in use, or no reply came. */
  unavailable: 69,
  /** The system refused: no such address, no file descriptors left. */
  system: 71,
  /** No permission, for a port or for the node's network. */
  noPermission: 77,
  /** The settings are wrong or unreadable, or this Node.js is too old. */
  configuration: 78,
} as const;

/** The exit code for an address that could not be opened, from the system's error code ("EACCES"); 71 for one it does not know. */
export function exitCodeOfListenError(code: string): number {
  if (code === "EADDRINUSE") return ExitCode.unavailable;
  return code === "EACCES" || code === "EPERM" ? ExitCode.noPermission : ExitCode.system;
}
