/*
 * The tables of docs/benchmarks.md, rendered from what is kept of measurements.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { projectFolder } from "../../test/support/program/run-nodens.ts";
import { judge, middle } from "./judge.ts";
import { drawCosts } from "./picture.ts";
import { type Measure, measures, readResults, type Results, type RowResult } from "./results.ts";
import { type Row, rows } from "./rows.ts";
import { servers } from "./servers.ts";

const page = join(projectFolder, "docs", "benchmarks.md");
const picture = join(projectFolder, "docs", "benchmarks.svg");
const begin = "<!-- Rendered by `npm run bench` from benchmarks.json; edit bench/peers/page.ts instead. -->";
const end = "<!-- End of what is rendered. -->";

/** The whole page: what stands in the file, with the rendered part made anew. */
export function benchmarksPage(): string {
  const text = readFileSync(page, "utf8");
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error("docs/benchmarks.md has no place for the tables");
  const results = readResults();
  const tables = results === undefined ? "Nothing was measured yet.\n" : renderTables(results);
  return `${text.slice(0, from)}${begin}\n\n${tables}\n${text.slice(to)}`;
}

/** The picture. */
export function benchmarksPicture(): string {
  return drawCosts(readResults()?.rows ?? {});
}

/** Writes both; what they show must have been written before. */
export function writePage(): void {
  writeFileSync(page, benchmarksPage());
  writeFileSync(picture, benchmarksPicture());
}

/** Everything: the machine, what was to be reached, and a table for each row. */
function renderTables({ machine, rows: results }: Results): string {
  const measured = rows.filter(({ name }) => results[name] !== undefined);
  const versions = Object.entries(machine.versions).map(([name, version]) => `${name} ${version}`);
  const parts = [
    `${machine.kernel}, ${machine.processors} processors (${machine.processor}); ${versions.join(", ")}.`,
    "![What a query costs](benchmarks.svg)",
    `### What was to be reached\n\n${goalsTable(measured, results)}`,
    ...measured.map(
      (row) => `### \`${row.name}\`: ${row.title}\n\n${notesOf(results[row.name])}\n\n${rowTable(row, results)}`,
    ),
  ];
  return `${parts.join("\n\n")}\n`;
}

/** A row for the terminal. */
export function rowText(row: Row, results: Readonly<Record<string, RowResult>>): string {
  const verdicts = row.goals.flatMap((goal) => {
    const verdict = judge(goal, row.name, results);
    if (verdict === undefined) return [];
    return [
      `${verdict.isMet ? "reached" : "NOT reached"}: ${goalText(row, verdict.goal)}: ${verdict.value.toFixed(2)}`,
    ];
  });
  const absent = (results[row.name]?.absent ?? []).map((reason) => `left out: ${reason}`);
  return [`${row.name}: ${row.title}\n`, ...align(cellsOf(row, results)), "", ...verdicts, ...absent].join("\n");
}

function notesOf(result: RowResult | undefined): string {
  if (result === undefined) return "";
  const count = Math.max(...Object.values(result.rounds).map(({ length }) => length));
  const absent = result.absent.map((reason) => ` ${reason}.`);
  return `${result.date}, nodens ${result.revision}, the middle of ${count} rounds.${absent.join("")}`;
}

function goalsTable(measured: readonly Row[], results: Readonly<Record<string, RowResult>>): string {
  const lines = measured.flatMap((row) =>
    row.goals.flatMap((goal) => {
      const verdict = judge(goal, row.name, results);
      if (verdict === undefined) return [];
      return [[`\`${row.name}\``, goalText(row, goal), verdict.value.toFixed(2), verdict.isMet ? "yes" : "**no**"]];
    }),
  );
  return markdown([["row", "to reach", "measured", "reached"], ...lines], 2);
}

function goalText(row: Row, goal: Row["goals"][number]): string {
  const what = `${measures[goal.measure].title} of ${titleOf(row, goal.series)}`;
  if (goal.of === undefined) return `${what} ≤ ${goal.most}`;
  const where = goal.ofRow === undefined ? "" : ` in \`${goal.ofRow}\``;
  return `${what} ≤ ${goal.most} × ${titleOf(row, goal.of)}${where}`;
}

function rowTable(row: Row, results: Readonly<Record<string, RowResult>>): string {
  return markdown(cellsOf(row, results), 1);
}

function cellsOf(row: Row, results: Readonly<Record<string, RowResult>>): string[][] {
  const result = results[row.name];
  const shown = (Object.keys(measures) as Measure[]).filter((measure) =>
    row.series.some(({ label }) => middle(result, label, measure) !== undefined),
  );
  const lines = row.series
    .filter(({ label }) => (result?.rounds[label] ?? []).length > 0)
    .map(({ label }) => [
      titleOf(row, label),
      ...shown.map((measure) => numberText(middle(result, label, measure), measures[measure].digits)),
    ]);
  return [["", ...shown.map((measure) => measures[measure].title)], ...lines];
}

/** What a series is called: of servers their titles, unless the row has a name for what is asked. */
function titleOf(row: Row, label: string): string {
  const server = row.series.find((series) => series.label === label)?.server;
  return server === undefined || server === "straight" || server !== label ? label : servers[server].title;
}

function numberText(value: number | undefined, digits: number): string {
  if (value === undefined) return "";
  return value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** A table whose columns are aligned, from `numbersFrom` on to the right. */
function markdown(lines: readonly (readonly string[])[], numbersFrom: number): string {
  const widths = widthsOf(lines);
  const [head = [], ...rest] = lines;
  const rule = widths.map((width, column) => (column < numbersFrom ? "-".repeat(width) : `${"-".repeat(width - 1)}:`));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => pad(cell, widths[column] ?? 0, column >= numbersFrom)).join(" | ")} |`;
  return [line(head), `| ${rule.join(" | ")} |`, ...rest.map(line)].join("\n");
}

function align(lines: readonly (readonly string[])[]): string[] {
  const widths = widthsOf(lines);
  return lines.map((cells) =>
    cells
      .map((cell, column) => pad(cell, widths[column] ?? 0, column > 0))
      .join("  ")
      .trimEnd(),
  );
}

function widthsOf(lines: readonly (readonly string[])[]): number[] {
  return (lines[0] ?? []).map((_, column) => Math.max(3, ...lines.map((line) => line[column]?.length ?? 0)));
}

function pad(cell: string, width: number, isRight: boolean): string {
  return isRight ? cell.padStart(width) : cell.padEnd(width);
}
