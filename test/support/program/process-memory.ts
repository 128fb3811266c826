/* How much memory another process has, from /proc. */
import { readFileSync } from "node:fs";

/** Resident memory in bytes. Throws where there is no /proc or no such process. */
export function residentBytes(pid: number | undefined): number {
  return statusBytes(pid, "VmRSS");
}

/** The most that was resident since the process began, in bytes. Throws as residentBytes does. */
export function peakResidentBytes(pid: number | undefined): number {
  return statusBytes(pid, "VmHWM");
}

function statusBytes(pid: number | undefined, field: string): number {
  const match = new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  if (match === null) throw new Error(`no resident memory of process ${pid}`);
  return Number(match[1]) * 1024;
}
