/*
 * Standard output and standard error, for people: nothing that a terminal would obey, and no end with a stack trace when nobody
 * reads any more or the disk is full.
 */
import type { Writable } from "node:stream";
import { getSystemErrorMessage } from "node:util";
import type { Clock } from "./clock.ts";
import { toPrintable, toPrintableInColour } from "./printable.ts";

/** Takes whole lines, with their line ends. */
export interface Terminal {
  write(text: string): void;
  /** Text that was painted on purpose. */
  writeInColour(text: string): void;
  writeError(text: string): void;
  /**
   * In words: why what was written did not get out; undefined where it did, and where its reader had enough of it (`| head`). Resolves
   * once that shows.
   */
  loss(): Promise<string | undefined>;
}

/** Creates it on two streams, whose errors it takes. */
export function createTerminal(output: Writable, errors: Writable, clock: Pick<Clock, "afterIo">): Terminal {
  let lost: NodeJS.ErrnoException | undefined;
  output.on("error", (error: NodeJS.ErrnoException) => (lost ??= error));
  // There is nowhere left to say so.
  errors.on("error", () => {});
  return {
    write: (text) => void output.write(toPrintable(text)),
    writeInColour: (text) => void output.write(toPrintableInColour(text)),
    writeError: (text) => void errors.write(toPrintable(text)),
    async loss() {
      // A stream tells of an error after the call that met it.
      await new Promise<void>((resolve) => clock.afterIo(resolve));
      if (lost === undefined || lost.code === "EPIPE") return undefined;
      return lost.errno === undefined ? lost.message : `${getSystemErrorMessage(lost.errno)} (${lost.code})`;
    },
  };
}
