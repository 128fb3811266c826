/*
 * How often a program's sockets are written to: each is a system call, and a packet or more.
 */
import { Socket } from "node:net";
import { onTestFinished, vi } from "vitest";

/** Counts from now on until the end of the test, and returns a function that says how many. `isCounted` chooses among the process's sockets. */
export function countWrites(isCounted: (socket: Socket) => boolean): () => number {
  const spies = [vi.spyOn(Socket.prototype, "_write"), vi.spyOn(Socket.prototype as Required<Socket>, "_writev")];
  onTestFinished(() => spies.forEach((spy) => spy.mockRestore()));
  return () => spies.flatMap((spy) => spy.mock.contexts).filter((socket) => isCounted(socket as Socket)).length;
}
