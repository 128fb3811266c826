/*
 * Whose sockets these are, as /proc tells it of the processes that this one may look into.
 */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** Names of programs by the inodes of their sockets. Sockets of processes that cannot be looked into are missing. */
export type SocketOwners = (inodes: ReadonlySet<string>) => Map<string, string>;

/** Looks through all processes until every socket is found. nodens, which is a script, is called by its name. */
export const socketOwners: SocketOwners = (inodes) => {
  const owners = new Map<string, string>();
  for (const pid of listed("/proc").filter((name) => /^\d+$/.test(name))) {
    if (owners.size === inodes.size) break;
    for (const fd of listed(`/proc/${pid}/fd`)) {
      const inode = /^socket:\[(\d+)\]$/.exec(linkOf(`/proc/${pid}/fd/${fd}`))?.[1];
      if (inode !== undefined && inodes.has(inode)) owners.set(inode, programOf(pid));
    }
  }
  return owners;
};

function programOf(pid: string): string {
  const words = textOf(`/proc/${pid}/cmdline`).split("\0");
  return words.some((word) => fileName(word) === "nodens.mjs") ? "nodens" : textOf(`/proc/${pid}/comm`).trim();
}

function fileName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

// What has ended meanwhile, or belongs to others, has nothing to tell.

function listed(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
