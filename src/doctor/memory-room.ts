/*
 * How much memory this process may still take: in a container it shares a limit with what serves, which must not be ended for it.
 */
import type { ReadSystemFile } from "../observe/receive-drops.ts";
import type { Finding } from "./finding.ts";

/** What a process that watches the wire has of its own, rounded up: 31 at 1,000 queries a second, 41 at 2,500 new names a second (docs/see.md). */
const watchMiB = 48;

/** What is said where there is less. */
export const noRoomToWatch: Finding = {
  check: "wire",
  state: "unknown",
  found: `less than ${watchMiB} MiB are left of this container's memory limit, and what serves in it must not be ended for a look`,
  cure: ["kubectl debug node/NODE -it --image=IMAGE --profile=sysadmin -- nodens doctor --watch 60s"],
  link: "see.md#what-is-wrong-with-dns-on-a-node",
};

/** Whether the wire may be watched. */
export function hasRoomToWatch(readFile: ReadSystemFile): boolean {
  return memoryRoomBytes(readFile) >= watchMiB * 1024 * 1024;
}

/** The files of a control group's limit and use, and what of that the kernel gives up by itself; of the second version, and of the first. */
const limitFiles = [
  { folder: "/sys/fs/cgroup", limit: "memory.max", used: "memory.current", freed: /^inactive_file (\d+)$/m },
  {
    folder: "/sys/fs/cgroup/memory",
    limit: "memory.limit_in_bytes",
    used: "memory.usage_in_bytes",
    freed: /^total_inactive_file (\d+)$/m,
  },
] as const;

/** The bytes left below the limit of this process's control group; Infinity where there is none, or none to be seen. */
function memoryRoomBytes(readFile: ReadSystemFile): number {
  const rooms = limitFiles.map(({ folder, limit, used, freed }) => {
    const limitBytes = numberIn(readFile(`${folder}/${limit}`));
    const usedBytes = numberIn(readFile(`${folder}/${used}`));
    if (limitBytes === undefined || usedBytes === undefined) return Infinity;
    return limitBytes - usedBytes + Number(freed.exec(readFile(`${folder}/memory.stat`) ?? "")?.[1] ?? 0);
  });
  return Math.min(...rooms);
}

/** Undefined for "max", which is no limit, and for no file. */
function numberIn(text: string | undefined): number | undefined {
  return text !== undefined && /^\d+\s*$/.test(text) ? Number(text) : undefined;
}
