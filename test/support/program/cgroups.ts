/*
 * The machine's control groups: one hierarchy (version 2), several (version 1), or both.
 */
import { mkdtempSync, readFileSync, rmdirSync } from "node:fs";
import { join } from "node:path";

/** A hierarchy of control groups. */
export interface CgroupHierarchy {
  /** Where it is mounted. */
  readonly path: string;
  /** Whether it is version 2's. */
  readonly isUnified: boolean;
}

/** The hierarchies that are mounted. */
export function cgroupHierarchies(): CgroupHierarchy[] {
  const mounts = readFileSync("/proc/mounts", "utf8")
    .split("\n")
    .map((line) => line.split(" "));
  return mounts
    .filter(([, , type = ""]) => type === "cgroup" || type === "cgroup2")
    .map(([, path = "", type]) => ({ path, isUnified: type === "cgroup2" }));
}

/** Whether this process may make groups in every hierarchy, and there is one. */
export function canMakeCgroups(): boolean {
  const hierarchies = cgroupHierarchies();
  return hierarchies.length > 0 && hierarchies.every(({ path }) => canMakeFolder(path));
}

function canMakeFolder(path: string): boolean {
  try {
    rmdirSync(mkdtempSync(join(path, "nodens-")));
    return true;
  } catch {
    return false;
  }
}
