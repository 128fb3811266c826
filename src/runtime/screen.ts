/*
 * A terminal that shows one screen after the other and hands over keys.
 */
import type { ReadStream, WriteStream } from "node:tty";
import { styleText } from "node:util";
import { systemClock } from "./clock.ts";

/** Takes the terminal at its first use: the alternate screen, without a cursor, keys one by one. */
export interface TerminalScreen {
  /** How many lines it has. */
  rows(): number;
  /** How many characters a line has. */
  columns(): number;
  /** Shows the text in place of what was shown before. */
  show(text: string): void;
  /** The text in colours, where the terminal has them and NO_COLOR is not set: what is wrong red, who waited yellow. */
  paint(text: string): string;
  /** Resolves with the next key, or with "" after `timeoutMs`. */
  key(timeoutMs: number): Promise<string>;
  /** Gives the terminal back. */
  end(): void;
}

// Without wrapping: what is wider is cut.
const enter = "\u001B[?1049h\u001B[?25l\u001B[?7l";
const leave = "\u001B[?7h\u001B[?25h\u001B[?1049l";
const home = "\u001B[H";
const restOfLine = "\u001B[K";
const restOfScreen = "\u001B[J";

const endingSignals = ["SIGTERM", "SIGINT", "SIGHUP"] as const;

const escape = "\u001B";
const oneKey = new RegExp(`${escape}\\[[A-Z]|[^]`, "g");

/** Undefined if input or output is not a terminal. */
export function openScreen(input: ReadStream, output: WriteStream): TerminalScreen | undefined {
  if (!output.isTTY || !input.isTTY) return undefined;
  let isTaken = false;
  // Keys that came while nobody waited for one.
  const pressed: string[] = [];
  let awaited: ((key: string) => void) | undefined;

  /** Several keys may come at once. An arrow is one key of three characters. */
  function onInput(octets: Buffer): void {
    pressed.push(...(octets.toString("latin1").match(oneKey) ?? []));
    const hand = awaited;
    awaited = undefined;
    hand?.(pressed.shift() ?? "");
  }

  function take(): void {
    if (isTaken) return;
    isTaken = true;
    for (const signal of endingSignals) process.once(signal, onSignal);
    input.setRawMode(true);
    input.on("data", onInput);
    input.resume();
    output.write(enter);
  }

  function end(): void {
    if (!isTaken) return;
    isTaken = false;
    for (const signal of endingSignals) process.off(signal, onSignal);
    input.setRawMode(false);
    input.off("data", onInput);
    input.pause();
    output.write(leave);
  }

  /** Ends as the signal does, but not with a terminal that shows nothing of what is typed. */
  function onSignal(signal: NodeJS.Signals): void {
    end();
    process.kill(process.pid, signal);
  }

  return {
    rows: () => output.rows,
    columns: () => output.columns,
    show(text) {
      take();
      // Each line is emptied before it is written: behind a line as wide as the screen, its last character would be what is erased.
      output.write(`${home}${restOfLine}${text.replaceAll("\n", `\n${restOfLine}`)}${restOfScreen}`);
    },
    paint: (text) => (output.hasColors() ? paint(text) : text),
    key(timeoutMs) {
      take();
      const key = pressed.shift();
      if (key !== undefined) return Promise.resolve(key);
      return new Promise((resolve) => {
        const cancel = systemClock.after(timeoutMs, () => {
          awaited = undefined;
          resolve("");
        });
        awaited = (next) => {
          cancel();
          resolve(next);
        };
      });
    },
    end,
  };
}

const marks = [
  { pattern: /FAIL-OPEN.*|NO ANSWER|NOT READY|\bDOWN\b|\bFAILS\b/g, format: "red" },
  { pattern: /◀.*/g, format: "yellow" },
  { pattern: /\[\d \w+\]|^›.*/gm, format: "inverse" },
] as const;

function paint(text: string): string {
  return marks.reduce(
    (painted, { pattern, format }) =>
      painted.replaceAll(pattern, (match) => styleText(format, match, { validateStream: false })),
    text,
  );
}
