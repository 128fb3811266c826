/*
 * nodens beside other DNS caches, in one run: what a query costs, how many can be done, and how long answers take.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { missingRequirements } from "../../test/support/program/requirements.ts";
import { describeMachine, describeRevision } from "./machine.ts";
import { type Effort, measureRow } from "./measure-row.ts";
import { rowText, writePage } from "./page.ts";
import { readResults, type RowResult, writeResults } from "./results.ts";
import { type Row, rows } from "./rows.ts";
import { makeTools, requiredCommands } from "./tools.ts";

const usage = `npm run bench -- [flags]

Measures all rows and writes docs/benchmarks.json, and from it docs/benchmarks.md and docs/benchmarks.svg. Nothing is written when a row
fails or the run is interrupted. A server that is not installed is left out, and named. COREDNS names a CoreDNS to measure; without it
one is built with Go.

  --only ROW         only the rows whose names begin so, more than one if said again; the others keep their figures
                     (${rows.map(({ name }) => name).join(", ")})
  --quick            one short round of each: prints and writes nothing
  --rounds N         how many rounds (default 5)
  --seconds N        how long a part of a round takes (default 2)
  --dry              prints and writes nothing
  --help             shows this
`;

interface Flags {
  readonly chosen: readonly Row[];
  readonly effort: Effort;
  readonly isDry: boolean;
}

// The end of the process ends what it has started.
process.once("SIGINT", () => process.exit(130));
process.once("SIGTERM", () => process.exit(143));
process.exitCode = await main();

async function main(): Promise<number> {
  const flags = readFlags();
  if (typeof flags === "number") return flags;
  const missing = missingRequirements(requiredCommands);
  if (missing.length > 0) {
    console.error(`bench needs ${missing.join(", ")}`);
    return 1;
  }
  if (availableParallelism() < 2) {
    console.error("bench needs two processors: one for the server, one for what asks it");
    return 1;
  }
  const folder = mkdtempSync(join(tmpdir(), "nodens-bench-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  console.error("bench: builds what is measured");
  const tools = await makeTools(folder, {
    wantsShipped: flags.chosen.some(({ way }) => way.kind === "memory"),
    wantsCoredns: flags.chosen.some(({ series }) => series.some(({ server }) => server.startsWith("coredns"))),
  });
  const measured: Record<string, RowResult> = {};
  const [date, revision] = [new Date().toISOString().slice(0, 10), describeRevision()];
  for (const [index, row] of flags.chosen.entries()) {
    const progress = createProgress(`${index + 1} of ${flags.chosen.length}, ${row.name}`);
    measured[row.name] = {
      date,
      revision,
      ...(await measureRow(row, { tools, folder, effort: flags.effort }, progress)),
    };
    console.log(`${rowText(row, measured)}\n`);
  }
  if (flags.isDry) return 0;
  const results = { machine: describeMachine(tools), rows: { ...readResults()?.rows, ...measured } };
  writeResults(results);
  writePage();
  return 0;
}

/** The flags, or the exit code when there is nothing to measure. */
function readFlags(): Flags | number {
  try {
    const { values } = parseArgs({
      options: {
        only: { type: "string", multiple: true, default: [] },
        quick: { type: "boolean", default: false },
        rounds: { type: "string" },
        seconds: { type: "string" },
        dry: { type: "boolean", default: false },
        help: { type: "boolean" },
      },
    });
    if (values.help === true) {
      console.log(usage);
      return 0;
    }
    const [rounds, seconds] = [
      Number(values.rounds ?? (values.quick ? 1 : 5)),
      Number(values.seconds ?? (values.quick ? 1 : 2)),
    ];
    const chosen = rows.filter(
      ({ name }) => values.only.length === 0 || values.only.some((text) => name.startsWith(text)),
    );
    if (!values.only.every((text) => rows.some(({ name }) => name.startsWith(text))))
      throw new Error("--only names no row");
    if (!Number.isInteger(rounds) || rounds < 1) throw new Error("--rounds is a whole number from 1");
    if (!Number.isInteger(seconds) || seconds < 1) throw new Error("--seconds is a whole number from 1");
    return { chosen, effort: { rounds, seconds }, isDry: values.dry || values.quick };
  } catch (error) {
    console.error(`bench: ${(error as Error).message}\n\n${usage}`);
    return 64;
  }
}

/** Says where it is: on a terminal in one line, elsewhere a line for each round. */
function createProgress(where: string): (text: string) => void {
  if (process.stderr.isTTY) return (text) => process.stderr.write(`\r\x1b[Kbench: ${where}: ${text}`);
  let last = "";
  return (text) => {
    const [what = ""] = text.split(/, | \S+$/);
    if (what !== last) console.error(`bench: ${where}: ${what}`);
    last = what;
  };
}
