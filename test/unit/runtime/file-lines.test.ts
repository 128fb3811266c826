import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { eachFileLine } from "../../../src/runtime/file-lines.ts";

function linesOf(text: string): string[] {
  const folder = mkdtempSync(join(tmpdir(), "nodens-lines-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, "list");
  writeFileSync(path, text);
  const lines: string[] = [];
  expect(eachFileLine(path, (line) => lines.push(line))).toBe(true);
  return lines;
}

test("a file's lines are given one by one, however large it is, and the last without its end", () => {
  const many = Array.from({ length: 20_000 }, (_, index) => `${index}: 0100007F:0035`);
  expect(linesOf(many.join("\n"))).toEqual(many);
  expect(linesOf("one\n\ntwo\n")).toEqual(["one", "", "two"]);
});

test("a file that is not there gives none, and that is said", () => {
  expect(eachFileLine("/proc/nodens-no-such-file", () => expect.unreachable())).toBe(false);
});
