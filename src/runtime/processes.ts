/*
 * Other processes of this machine, as /proc tells of those that this one may look into.
 */
import { closeSync, openSync, readdirSync, readlinkSync, readSync } from "node:fs";

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

/** A process. */
export interface Process {
  readonly pid: string;
  readonly program: string;
  /** Its network namespace; "" where that may not be seen. Those of two processes are the same if the texts are. */
  readonly networkNamespace: string;
}

/** Finds the processes whose program has one of these names. */
export type ProcessesCalled = (names: readonly string[]) => Process[];

/** Looks through all processes. */
export const processesCalled: ProcessesCalled = (names) =>
  listed("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => ({ pid, program: programOf(pid), networkNamespace: linkOf(`/proc/${pid}/ns/net`) }))
    .filter(({ program }) => names.includes(program));

/** The network namespace of this process. */
export function ownNetworkNamespace(): string {
  return linkOf("/proc/self/ns/net");
}

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

/** The beginning of a file. readFileSync would take 64 KiB for each, because files of /proc do not say how long they are. */
function textOf(path: string): string {
  let fd: number;
  try {
    fd = openSync(path, "r");
  } catch {
    return "";
  }
  try {
    return beginning.toString("utf8", 0, readSync(fd, beginning));
  } catch {
    return "";
  } finally {
    closeSync(fd);
  }
}

const beginning = Buffer.alloc(4096);
