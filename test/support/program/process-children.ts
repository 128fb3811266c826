/* The children of a process, from /proc. */
import { readFileSync } from "node:fs";

/** Process ids of the children that the main thread of `pid` started. */
export function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
  return text === "" ? [] : text.split(" ").map(Number);
}
