/*
 * docs/protocol.md and the tests that cite its rows. A test, suite or case that shows a row begins its name with it: "C13: an old answer".
 */
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { projectFolder } from "../support/program/run-nodens.ts";

const row = "[ABCELPSTU]\\d{1,2}";
const citation = new RegExp(`["'\`](${row}(?:, ${row})*): `, "g");
/** What was meant as a citation and is not one: without its colon, or at the end. */
const otherForm = new RegExp(
  `(?:test|describe|\\))(?:\\.\\w+)*\\(\\s*["\`](?:${row} |[^"\`\\n]*\\(${row}\\)["\`])`,
  "g",
);

const folder = join(projectFolder, "test");
const sources = new Map(
  globSync("**/*.test.ts", { cwd: folder }).map((file) => [
    file.replace(/\.test\.ts$/, ""),
    readFileSync(join(folder, file), "utf8"),
  ]),
);
const rowsByFile = new Map([...sources].map(([file, source]) => [file, citedIn(source)]));

/** By row, the files that the page names for it. */
const filesByRow = new Map(
  [...readFileSync(join(projectFolder, "docs", "protocol.md"), "utf8").matchAll(/^\| (\w+) +\|.*\| ([^|]+?) +\|$/gm)]
    .filter(([, id = ""]) => new RegExp(`^${row}$`).test(id))
    .map(([, id = "", files = ""]) => [id, files.split(", ")]),
);

test.each([...filesByRow])("row %s is cited in each file that the page names", (id, files) => {
  for (const file of files) expect(rowsByFile.get(file), file).toContain(id);
});

test("every row that a test cites is on the page", () => {
  const unknown = [...rowsByFile].flatMap(([file, ids]) =>
    [...ids].filter((id) => !filesByRow.has(id)).map((id) => `${file} cites ${id}`),
  );
  expect(filesByRow.size).toBeGreaterThan(60);
  expect(unknown).toEqual([]);
});

test("rows are cited in one form", () => {
  const found = [...sources].flatMap(([file, source]) =>
    [...source.matchAll(otherForm)].map(([text]) => `${file}: ${text}`),
  );
  expect(found).toEqual([]);
});

function citedIn(source: string): Set<string> {
  return new Set([...source.matchAll(citation)].flatMap(([, ids = ""]) => ids.split(", ")));
}
