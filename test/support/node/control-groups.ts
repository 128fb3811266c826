/*
 * Control groups of the kernel, for tests that need one: mounted in a folder of their own, for where a machine has them is its own matter.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A group without processes. */
export interface ControlGroup {
  readonly folder: string;
  /** Removes it: call it when it has no processes any more. */
  remove(): void;
}

/** Makes a group of the unified hierarchy, to which programs can be attached. */
export function createControlGroup(): ControlGroup {
  return createIn(["-t", "cgroup2"]);
}

/** A group whose processes may take so much memory beyond what they have when they come into it. */
export interface MemoryGroup extends ControlGroup {
  /** How many processes the kernel has killed for want of memory. */
  killedCount(): number;
}

/** Makes one, in whichever hierarchy has the memory. */
export function createMemoryGroup(limitBytes: number): MemoryGroup {
  const isUnified = !readFileSync("/proc/cgroups", "utf8").match(/^memory\t[1-9]/m);
  const group = createIn(isUnified ? ["-t", "cgroup2"] : ["-t", "cgroup", "-o", "memory"], isUnified ? "+memory" : "");
  const file = (name: string) => join(group.folder, name);
  writeFileSync(file(isUnified ? "memory.max" : "memory.limit_in_bytes"), String(limitBytes));
  return {
    ...group,
    killedCount() {
      const counts = readFileSync(file(isUnified ? "memory.events" : "memory.oom_control"), "utf8");
      return Number(/^oom_kill (\d+)$/m.exec(counts)?.[1]);
    },
  };
}

function createIn(mountOptions: readonly string[], controller = ""): ControlGroup {
  const root = mkdtempSync(join(tmpdir(), "nodens-cgroups-"));
  execFileSync("mount", [...mountOptions, "none", root]);
  if (controller !== "" && existsSync(join(root, "cgroup.subtree_control")))
    writeFileSync(join(root, "cgroup.subtree_control"), controller);
  const folder = mkdtempSync(join(root, "nodens-"));
  return {
    folder,
    remove() {
      rmdirSync(folder);
      execFileSync("umount", [root]);
      rmdirSync(root);
    },
  };
}
