/*
 * Another revision and the working tree in turns: hits of the whole program, then the functions of the hot path (bench:hot).
 *
 *     npm run bench:compare -- REVISION [--rounds 7] [--seconds 2]
 *
 * What differs in every round, and by 5 % or more in the middle, is called a change; the rest is noise.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { missingRequirements } from "../../test/support/program/requirements.ts";
import { projectFolder } from "../../test/support/program/run-nodens.ts";
import { compareRounds, middleOf } from "../hot/compare-rounds.ts";
import { checkOut } from "../hot/revision.ts";
import { measureRow } from "./measure-row.ts";
import { type Measure, measures, type Round } from "./results.ts";
import { compareRow } from "./rows.ts";
import { makeTools, requiredCommands } from "./tools.ts";

const compared = ["cpuMicros", "steadyCpuMicros", "p50", "p99", "residentMib"] as const satisfies readonly Measure[];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: "string", default: "7" }, seconds: { type: "string", default: "2" } },
});

// The end of the process ends and removes what it has made.
process.once("SIGINT", () => process.exit(130));
process.once("SIGTERM", () => process.exit(143));
process.exitCode = await main();

async function main(): Promise<number> {
  const [revision] = positionals;
  const effort = { rounds: Number(values.rounds), seconds: Number(values.seconds) };
  const isCount = (count: number) => Number.isInteger(count) && count > 0;
  if (revision === undefined || positionals.length > 1 || !isCount(effort.rounds) || !isCount(effort.seconds)) {
    console.error("bench:compare REVISION [--rounds 7] [--seconds 2]");
    return 64;
  }
  const missing = missingRequirements(requiredCommands);
  if (missing.length > 0) {
    console.error(`bench:compare needs ${missing.join(", ")}`);
    return 1;
  }
  const checkedOut = checkOut(revision);
  if (checkedOut === "unknown") {
    console.error(`bench:compare: git does not know the revision "${revision}"`);
    return 64;
  }
  const folder = mkdtempSync(join(tmpdir(), "nodens-bench-"));
  process.once("exit", () => {
    checkedOut.remove();
    rmSync(folder, { recursive: true, force: true });
  });
  const tools = await makeTools(folder, { base: checkedOut.folder });
  const progress = (text: string) => console.error(`bench:compare: ${text}`);
  const { rounds } = await measureRow(compareRow, { tools, folder, effort }, progress);
  console.log(`Hits: ${checkedOut.commit}, then the working tree; ${effort.rounds} rounds\n`);
  for (const measure of compared) printChange(measure, rounds["base"] ?? [], rounds["nodens"] ?? []);
  console.log("");
  const hot = join(projectFolder, "bench", "hot", "run.ts");
  return spawnSync(process.execPath, [hot, revision, "--rounds", values.rounds], { stdio: "inherit" }).status ?? 1;
}

function printChange(measure: Measure, base: readonly Round[], branch: readonly Round[]): void {
  const { title, digits } = measures[measure];
  const [before, after] = [base, branch].map((rounds) => rounds.map((round) => round[measure] ?? 0)) as [
    number[],
    number[],
  ];
  const { ratio, lowest, highest, verdict } = compareRounds(before, after);
  const middles = [before, after].map((numbers) => middleOf(numbers).median.toFixed(digits).padStart(9)).join(" ");
  const spread = `${lowest.toFixed(2)} to ${highest.toFixed(2)}`;
  const word =
    verdict === "same" ? "" : measure === "residentMib" ? (ratio > 1 ? "MORE" : "LESS") : verdict.toUpperCase();
  console.log(`${title.padEnd(16)}${middles}   ${ratio.toFixed(2)}   ${spread}   ${word}`.trimEnd());
}
