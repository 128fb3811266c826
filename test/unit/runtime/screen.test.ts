import type { ReadStream, WriteStream } from "node:tty";
import { expect, test } from "vitest";
import { openScreen } from "../../../src/runtime/screen.ts";

const escape = "\u001B";
const pieces = new RegExp(`${escape}\\[[?\\d]*[A-Za-z]|\\n|[^]`, "g");

/** A terminal of this many columns that keeps what is on it, and knows of escapes what the screen uses. */
function createTerminal(columns: number) {
  const lines: string[][] = [[]];
  let [row, column] = [0, 0];
  function write(text: string): void {
    for (const [piece] of text.matchAll(pieces)) {
      if (piece === `${escape}[H`) [row, column] = [0, 0];
      else if (piece === `${escape}[K`) lines[row]?.splice(column);
      else if (piece === `${escape}[J`) lines.splice(row + 1);
      else if (piece === "\n") [row, column] = [row + 1, 0];
      else if (!piece.startsWith(escape)) {
        (lines[row] ??= [])[column] = piece;
        // Without wrapping, what is wider overwrites the last column.
        column = Math.min(column + 1, columns - 1);
      }
      lines[row] ??= [];
    }
  }
  const input = { isTTY: true, setRawMode() {}, on() {}, off() {}, resume() {}, pause() {} } as unknown as ReadStream;
  const output = { isTTY: true, rows: 4, columns, write, hasColors: () => false } as unknown as WriteStream;
  return { input, output, text: () => lines.map((line) => line.join("")).join("\n") };
}

test("a line as wide as the screen is there whole, and nothing is left of a longer one before it", () => {
  const { input, output, text } = createTerminal(8);
  const screen = openScreen(input, output);
  screen?.show("12345678\nabcdefgh\nmore\n");
  expect(text()).toBe("12345678\nabcdefgh\nmore\n");
  screen?.show("12345678\nabc\n");
  expect(text()).toBe("12345678\nabc\n");
  screen?.end();
});
