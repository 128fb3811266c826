/*
 * The figures of `npm run bench` as they are kept (docs/benchmarks.json): every round of every row, so that the page can be rendered anew
 * without measuring.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { projectFolder } from "../../test/support/program/run-nodens.ts";

/** What can be measured, in the order of tables. */
export const measures = {
  cpuMicros: { title: "CPU µs", digits: 2 },
  perSecond: { title: "a second", digits: 0 },
  steadyCpuMicros: { title: "CPU µs, steady", digits: 1 },
  p50: { title: "p50 µs", digits: 0 },
  p99: { title: "p99 µs", digits: 0 },
  p999: { title: "p99.9 µs", digits: 0 },
  quietP99: { title: "p99 µs, quiet", digits: 0 },
  timesQuiet: { title: "times quiet", digits: 2 },
  upstreamPerLookup: { title: "upstream", digits: 3 },
  steadyUpstreamPerLookup: { title: "upstream, steady", digits: 3 },
  flows: { title: "flows", digits: 0 },
  lostPercent: { title: "lost %", digits: 2 },
  residentMib: { title: "MiB", digits: 0 },
  readyMs: { title: "ready ms", digits: 0 },
  firstMs: { title: "first answer ms", digits: 0 },
  restMib: { title: "MiB at rest", digits: 0 },
  restOwnMib: { title: "its own", digits: 0 },
  hitsMib: { title: "MiB, 1,000 names", digits: 0 },
  fullMib: { title: "MiB, full", digits: 0 },
} as const;

/** By name. */
export type Measure = keyof typeof measures;

/** What one round measured. */
export type Round = Partial<Readonly<Record<Measure, number>>>;

/** All rounds of a row, by the label of its series. */
export interface RowResult {
  /** The day. */
  readonly date: string;
  /** Of nodens. */
  readonly revision: string;
  readonly rounds: Readonly<Record<string, readonly Round[]>>;
  /** What could not be measured, and why. */
  readonly absent: readonly string[];
}

/** What a run says of the machine and of versions. */
export interface Machine {
  readonly kernel: string;
  readonly processor: string;
  readonly processors: number;
  readonly versions: Readonly<Record<string, string>>;
}

/** Everything that is kept. */
export interface Results {
  readonly machine: Machine;
  readonly rows: Readonly<Record<string, RowResult>>;
}

const file = join(projectFolder, "docs", "benchmarks.json");

/** Reads them; undefined where nothing was measured yet. */
export function readResults(): Results | undefined {
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Results) : undefined;
}

/** Writes them. */
export function writeResults(results: Results): void {
  writeFileSync(file, `${JSON.stringify(results, roundNumbers, 1)}\n`);
}

/** Five digits are more than a measurement has. */
function roundNumbers(_: string, value: unknown): unknown {
  return typeof value === "number" ? Number(value.toPrecision(5)) : value;
}
