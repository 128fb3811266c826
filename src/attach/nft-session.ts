/*
 * A long-lived `nft -i` that is fed commands: the process that a table with `flags owner` belongs to. It ends when its input
 * ends, and so with nodens, however nodens ends. Nobody else may hold that pipe.
 */
import { type ChildProcess, spawn } from "node:child_process";
import type { Clock } from "../runtime/clock.ts";

/** A running nft. */
export interface NftSession {
  /**
   * Runs commands on one line: one transaction, all or nothing. Resolves with nft's complaint, undefined when there is none.
   * Commands run one after the other. Resolves with a complaint when nft has ended or hangs.
   */
  run(commands: string): Promise<string | undefined>;
  /** Ends nft, and with it the tables that belong to it. Resolves when it has ended. */
  close(): Promise<void>;
}

/** Opens a session. `onEnd` is called once, with the reason, when it ends without having been closed. */
export type OpenNftSession = (onEnd: (reason: string) => void) => NftSession;

/** How long a command may take: for some, nft reads parts of the node's whole rule set. */
const timeoutMs = 10_000;
/** How long it may take to end. */
const endTimeoutMs = 1000;

/** Starts nft for each session. If it cannot be started, every command gets the reason as its complaint. */
export function nftSessionsOn(clock: Clock): OpenNftSession {
  return (onEnd) => openNftSession(clock, onEnd);
}

function openNftSession(clock: Clock, onEnd: (reason: string) => void): NftSession {
  // Otherwise it would write its input to a history file in its home, and read that at the next start.
  const env = { ...process.env, HOME: "/dev/null" };
  const child: ChildProcess = spawn("nft", ["-i"], { stdio: ["pipe", "ignore", "pipe"], env });
  const waiting: { readonly marker: string; resolve(complaint: string | undefined): void }[] = [];
  let complaints = "";
  let endedBecause: string | undefined;
  let isClosing = false;
  let lastMarker = 0;
  const ended = new Promise<void>((resolve) => {
    child.on("error", (error: NodeJS.ErrnoException) => {
      const why = error.code === "ENOENT" ? "the program nft is not installed" : "nft cannot be started";
      finish(`${why} (${error.message})`, resolve);
    });
    child.on("close", () => finish("nft has ended", resolve));
  });
  // Without free descriptors, the streams are missing.
  child.stderr?.setEncoding("utf8").on("data", read);
  child.stdin?.on("error", () => {});

  function finish(reason: string, resolve: () => void): void {
    if (endedBecause !== undefined) return;
    endedBecause = reason;
    for (const { resolve: resolveCommand } of waiting.splice(0)) resolveCommand(reason);
    resolve();
    if (!isClosing) onEnd(reason);
  }

  /**
   * nft does not say when it is done. So every command is followed by a word that nft does not know: the complaint about that word
   * comes on the same stream, after all complaints about the command.
   */
  function read(text: string): void {
    complaints += text;
    for (let [next] = waiting; next !== undefined; [next] = waiting) {
      const line = `\n${next.marker}\n`;
      const end = complaints.indexOf(line);
      if (end === -1) return;
      const before = complaints.slice(0, end);
      // What belongs to the marker itself is its last "Error: syntax error, …" and, below the word, a caret.
      const complaint = before
        .slice(0, before.lastIndexOf("Error: syntax error"))
        .replace(/^[\s^]+/, "")
        .trim();
      complaints = complaints.slice(end + line.length);
      waiting.shift();
      next.resolve(complaint === "" ? undefined : complaint);
    }
  }

  return {
    run(commands) {
      if (endedBecause !== undefined) return Promise.resolve(endedBecause);
      lastMarker += 1;
      const marker = `nodens_marker_${lastMarker}`;
      return new Promise((resolve) => {
        const cancelKill = clock.after(timeoutMs, () => void child.kill("SIGKILL"));
        waiting.push({
          marker,
          resolve(complaint) {
            cancelKill();
            resolve(complaint);
          },
        });
        child.stdin?.write(`${commands}\n${marker}\n`);
      });
    },
    close() {
      isClosing = true;
      child.stdin?.end();
      const cancelKill = clock.after(endTimeoutMs, () => void child.kill("SIGKILL"));
      return ended.finally(cancelKill);
    },
  };
}
