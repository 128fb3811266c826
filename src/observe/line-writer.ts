/*
 * Writes lines to a file descriptor and never waits for it: a pipe that nobody reads, a full disk or a closed terminal loses
 * lines, and must not hold up answers or the end of the process. (The logger's own writer waits for a full disk for ever.)
 */
import { write, writeSync } from "node:fs";
import { type Clock, systemClock } from "../runtime/clock.ts";

/** Takes lines, each with its line end. */
export interface LineWriter {
  write(line: string): void;
}

/** Lines that wait for the descriptor, in UTF-16 units. More are dropped. */
const maxWaitingLength = 1024 * 1024;

/** A descriptor in non-blocking mode says "not now"; it has no event to wait for. */
const retryMs = 50;

/** How often the end of the process tries again: half a second in all. */
const exitTries = 50;
const exitRetryMs = 10;

/** Creates a writer to an open descriptor, which stays the caller's. What waits when the process exits is written then. */
export function createLineWriter(descriptor: number, clock: Clock = systemClock): LineWriter {
  let waiting = "";
  let hasBegun = false;
  let isWriting = false;
  // What the descriptor did not take, until it is tried again.
  let refused = Buffer.alloc(0);

  function next(): void {
    isWriting = waiting !== "";
    if (!isWriting) return;
    const lines = Buffer.from(waiting);
    waiting = "";
    send(lines);
  }

  function send(octets: Buffer<ArrayBuffer>): void {
    write(descriptor, octets, (error, writtenBytes) => {
      if (error?.code === "EAGAIN") {
        refused = octets;
        clock.after(retryMs, sendRefused);
      } else if (error === null && writtenBytes < octets.length) send(octets.subarray(writtenBytes));
      else next();
    });
  }

  function sendRefused(): void {
    const octets = refused;
    refused = Buffer.alloc(0);
    send(octets);
  }

  /** Only who has written has anything to write at the exit. */
  function begin(): void {
    hasBegun = true;
    process.once("exit", () => writeAtExit(descriptor, Buffer.concat([refused, Buffer.from(waiting)])));
  }

  return {
    write(line) {
      if (!hasBegun) begin();
      if (waiting.length + line.length > maxWaitingLength) return;
      waiting += line;
      if (!isWriting) next();
    },
  };
}

function writeAtExit(descriptor: number, lines: Buffer): void {
  let octets = lines;
  for (let tries = 0; octets.length > 0 && tries < exitTries;) {
    try {
      octets = octets.subarray(writeSync(descriptor, octets));
    } catch (error) {
      // There is nowhere left to say so.
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") return;
      tries += 1;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, exitRetryMs);
    }
  }
}
