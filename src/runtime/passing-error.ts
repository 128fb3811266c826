/*
 * Errors of sockets that do not last.
 */
import { constants } from "node:os";

const { EAGAIN, EINTR, ENOBUFS, ENOMEM } = constants.errno;
const passing: ReadonlySet<number> = new Set([EAGAIN, EINTR, ENOBUFS, ENOMEM]);

/** Whether a stream with this errno is as good as before, so that the same call is worth another try. */
export function isPassing(errno: number): boolean {
  return passing.has(errno);
}
