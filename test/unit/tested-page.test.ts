import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { testedPage, type TestedPage } from "../cluster/tested-page.ts";
import { projectFolder } from "../support/program/run-nodens.ts";

const text = readFileSync(join(projectFolder, "docs", "tested.md"), "utf8");

test("docs/tested.md has the form that `npm run test:cluster` writes", () => {
  expect(testedPage(readPage(text))).toBe(text);
});

test("each row of docs/tested.md says which way pods asked, and what was found in one of kube-proxy's modes at least", () => {
  const { versions, rows } = readPage(text);
  expect(versions.map(([program]) => program)).toContain("Kubernetes");
  expect(rows.length).toBeGreaterThan(20);
  for (const [, way, ...found] of rows) {
    expect(way).not.toBe("");
    expect(found.join("")).not.toBe("");
  }
});

/** What a page says. Throws where it has no date; tables that are not there are empty. */
function readPage(text: string): TestedPage {
  const date = / on (\d{4}-\d\d-\d\d), /.exec(text)?.[1];
  if (date === undefined) throw new Error("the page does not say when it was written");
  const [versions = [], rows = []] = text
    .split("\n\n")
    .filter((part) => part.startsWith("|"))
    .map((part) => part.trim().split("\n").slice(2).map(cellsOf));
  return { date, versions, rows };
}

function cellsOf(row: string): string[] {
  return row.replace(/^\| | \|$/g, "").split(" | ");
}
