/*
 * Files of the system line by line: a node's list of connections may have megabytes.
 */
import { closeSync, openSync, readSync } from "node:fs";

const chunkBytes = 32_768;

/** Gives each line of a file to `take`, without its end. Lines are ASCII. Returns false, and gives none, where the file cannot be opened. */
export function eachFileLine(path: string, take: (line: string) => void): boolean {
  let fd: number;
  try {
    fd = openSync(path, "r");
  } catch {
    return false;
  }
  const chunk = Buffer.allocUnsafe(chunkBytes);
  let unfinished = "";
  try {
    for (let size = readSync(fd, chunk); size > 0; size = readSync(fd, chunk)) {
      const lines = (unfinished + chunk.toString("latin1", 0, size)).split("\n");
      unfinished = lines.pop() ?? "";
      for (const line of lines) take(line);
    }
  } catch {
    // What was read until then is all that there is, as of a process that has ended meanwhile.
  } finally {
    closeSync(fd);
  }
  if (unfinished !== "") take(unfinished);
  return true;
}
