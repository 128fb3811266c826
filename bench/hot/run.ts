/*
 * Measures the functions that every query passes, alone or beside another revision.
 *
 *     npm run bench:hot -- [REVISION] [--only BENCH]… [--rounds 7] [--short] [--json FILE]
 *
 * With a revision, it and the working tree take turns, each measurement in a process of its own, and what differs in every round
 * is called a change. `--short` is one quick round, to see that everything still runs.
 */
import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs, promisify } from "node:util";
import { projectFolder } from "../../test/support/program/run-nodens.ts";
import { compareRounds, middleOf } from "./compare-rounds.ts";
import type { HotCost, HotReport } from "./measure-bench.ts";
import { type CheckedOut, checkOut } from "./revision.ts";

const run = promisify(execFile);

const benches = [
  "read-query",
  "find-entry",
  "see-query",
  "answer-hit",
  "answer-unseen",
  "shape-reply",
  "deny-by-schema",
  "deny-learned",
  "match-reply",
  "parse-reply",
] as const;
type Bench = (typeof benches)[number];

/** How long a case is measured in one round. */
const cpuTimeMs = { long: 150, short: 20 } as const;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    only: { type: "string", multiple: true, default: [] },
    rounds: { type: "string", default: "7" },
    short: { type: "boolean", default: false },
    json: { type: "string" },
  },
});

/** One side of the comparison: what each round measured, by bench and case. */
interface Side {
  readonly folder: string;
  readonly costs: Map<string, HotCost[]>;
  readonly missing: Map<Bench, string>;
}

interface Row {
  readonly name: string;
  readonly base: readonly HotCost[] | undefined;
  readonly branch: readonly HotCost[] | undefined;
}

process.exitCode = await main();

async function main(): Promise<number> {
  const chosen = benches.filter((bench) => values.only.length === 0 || values.only.includes(bench));
  const rounds = values.short ? 1 : Number(values.rounds);
  if (chosen.length === 0 || !Number.isInteger(rounds) || rounds < 1 || positionals.length > 1) {
    console.error(`bench:hot [REVISION] [--only ${benches.join("|")}] [--rounds N] [--short] [--json FILE]`);
    return 64;
  }
  const [revision] = positionals;
  const checkedOut = revision === undefined ? undefined : checkOut(revision);
  if (checkedOut === "unknown") {
    console.error(`bench:hot: git does not know the revision "${revision}"`);
    return 64;
  }
  process.once("SIGINT", () => process.exit(130));
  process.once("SIGTERM", () => process.exit(143));
  process.once("exit", () => checkedOut?.remove());
  const branch = createSide(projectFolder);
  const base = checkedOut === undefined ? undefined : createSide(checkedOut.folder);
  for (let round = 0; round < rounds; round += 1) {
    // Neither of them is always the first.
    const order = (round % 2 === 0 ? [base, branch] : [branch, base]).filter((side) => side !== undefined);
    for (const bench of chosen) for (const side of order) await measure(side, bench);
  }
  const rows = rowsOf(base, branch);
  printTable(rows, checkedOut, rounds);
  printMissing(base, `in ${checkedOut?.commit}`);
  printMissing(branch, "in the working tree");
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(rows, undefined, 2)}\n`);
  return branch.missing.size === 0 ? 0 : 1;
}

function createSide(folder: string): Side {
  return { folder: join(folder, "bench", "hot"), costs: new Map(), missing: new Map() };
}

async function measure(side: Side, bench: Bench): Promise<void> {
  if (side.missing.has(bench)) return;
  const program = join(import.meta.dirname, "measure-bench.ts");
  const timeMs = values.short ? cpuTimeMs.short : cpuTimeMs.long;
  const { stdout } = await run(process.execPath, ["--expose-gc", program, side.folder, bench, String(timeMs)]);
  const report = JSON.parse(stdout) as HotReport;
  if ("missing" in report) {
    side.missing.set(
      bench,
      report.missing.replaceAll(`${side.folder}/`, "").replaceAll(side.folder.replace("bench/hot", ""), ""),
    );
    return;
  }
  for (const [name, cost] of Object.entries(report.costs)) {
    const key = `${bench}: ${name}`;
    side.costs.set(key, [...(side.costs.get(key) ?? []), cost]);
  }
}

function rowsOf(base: Side | undefined, branch: Side): Row[] {
  const names = new Set([...branch.costs.keys(), ...(base?.costs.keys() ?? [])]);
  return [...names].map((name) => ({ name, base: base?.costs.get(name), branch: branch.costs.get(name) }));
}

function printTable(rows: readonly Row[], base: CheckedOut | undefined, rounds: number): void {
  const ours = ["ns/call", "±", "bytes/call"];
  const head = base === undefined ? ["", ...ours] : ["", "ns/call", "±", "bytes/call", ...ours, "ratio", "rounds", ""];
  const lines = rows.map((row) => {
    if (base === undefined) return [row.name, ...cellsOf(row.branch)];
    return [row.name, ...cellsOf(row.base), ...cellsOf(row.branch), ...changeCells(row)];
  });
  console.log(base === undefined ? `${rounds} rounds\n` : `${base.commit}, then the working tree; ${rounds} rounds\n`);
  const widths = head.map((_, column) => Math.max(...[head, ...lines].map((line) => line[column]?.length ?? 0)));
  for (const line of [head, ...lines]) {
    const cells = line.map((cell, column) => {
      const width = widths[column] ?? 0;
      return column === 0 ? cell.padEnd(width) : cell.padStart(width);
    });
    console.log(cells.join("  ").trimEnd());
  }
  console.log("\n±: the range of all rounds. Bytes: in V8's heap and, after a +, outside of it.");
  if (base !== undefined) {
    console.log(
      "A row is faster or slower when every round says so, and the middle one by 5 % or more (from 5 rounds on).",
    );
  }
}

function cellsOf(costs: readonly HotCost[] | undefined): string[] {
  if (costs === undefined) return ["not there", "", ""];
  const { median, spread } = middleOf(costs.map(({ nanoseconds }) => nanoseconds));
  return [median.toFixed(median < 100 ? 1 : 0), `${(spread * 50).toFixed(0)} %`, bytesOf(costs)];
}

function bytesOf(costs: readonly HotCost[]): string {
  const heap = Math.round(middleOf(costs.map(({ heapBytes }) => heapBytes)).median);
  const arrays = Math.round(middleOf(costs.map(({ arrayBytes }) => arrayBytes)).median);
  // V8 counts in steps that come to a byte or two.
  const shown = heap <= 3 ? "0" : String(heap);
  return arrays === 0 ? shown : `${shown} + ${arrays}`;
}

function changeCells({ base, branch }: Row): string[] {
  if (base === undefined || branch === undefined) return ["", "", ""];
  const time = (costs: readonly HotCost[]) => costs.map(({ nanoseconds }) => nanoseconds);
  const { ratio, lowest, highest, verdict } = compareRounds(time(base), time(branch));
  return [
    ratio.toFixed(2),
    `${lowest.toFixed(2)} to ${highest.toFixed(2)}`,
    verdict === "same" ? "" : verdict.toUpperCase(),
  ];
}

function printMissing(side: Side | undefined, where: string): void {
  for (const [bench, reason] of side?.missing ?? []) console.log(`${bench}: not there ${where} (${reason})`);
}
