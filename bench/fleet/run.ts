/*
 * A fleet of nodes with nodens, simulated: what kube-dns is asked, how many flows that takes, and how many lookups of pods wait, on a
 * quiet day and in trouble. The exit code is 1 when a peak breaks the promise.
 */
import { fork } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { availableParallelism, freemem } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { drawOutcome } from "./draw-outcome.ts";
import { mostTimesQuiet, peakAfter } from "./judge.ts";
import { legend, type Outcome, tableOf } from "./report.ts";
import type { Job, Message } from "./run-situation.ts";
import { situations, type SituationName } from "./situations.ts";

const names = Object.keys(situations) as SituationName[];

const usage = `npm run simulate:fleet -- [flags]

  --nodes N          how many nodes, 10 to 15000 (default 1000)
  --situation NAME   one of ${names.join(", ")} (default: all)
  --seed N           the same seed, the same run (default 1)
  --svg FOLDER       also draws each situation, as fleet-NAME.svg
  --json FILE        also writes the numbers of every second
  --help             shows this
`;

/** What a node takes, measured and rounded up, and a process beside its nodes. */
const nodeMb = 0.4;
const processMb = 200;

process.once("SIGINT", () => process.exit(130));
process.once("SIGTERM", () => process.exit(143));
process.exitCode = await main();

interface Flags {
  readonly nodes: number;
  readonly seed: number;
  readonly chosen: readonly SituationName[];
  readonly svg: string | undefined;
  readonly json: string | undefined;
}

async function main(): Promise<number> {
  const flags = readFlags();
  if (typeof flags === "number") return flags;
  const outcomes = await simulateAll(flags);
  console.log(
    `${flags.nodes} nodes, seed ${flags.seed}\n\n${tableOf(outcomes.map(([, outcome]) => outcome))}\n\n${legend}`,
  );
  if (flags.svg !== undefined) {
    mkdirSync(flags.svg, { recursive: true });
    for (const [name, outcome] of outcomes)
      writeFileSync(join(flags.svg, `fleet-${name}.svg`), drawOutcome(outcome, flags.nodes));
  }
  if (flags.json !== undefined) {
    const numbers = Object.fromEntries(outcomes.map(([name, { series }]) => [name, series]));
    writeFileSync(flags.json, `${JSON.stringify(numbers)}\n`);
  }
  const broken = outcomes.filter(
    ([, { series, situation }]) => peakAfter(series.questions, situation).ratio > mostTimesQuiet,
  );
  for (const [name] of broken)
    console.error(`simulate:fleet: ${name}: a peak above ${mostTimesQuiet} times the quiet rate`);
  return broken.length > 0 ? 1 : 0;
}

/** The flags, or the exit code when there is nothing to simulate. */
function readFlags(): Flags | number {
  try {
    const { values } = parseArgs({
      options: {
        nodes: { type: "string", default: "1000" },
        situation: { type: "string" },
        seed: { type: "string", default: "1" },
        svg: { type: "string" },
        json: { type: "string" },
        help: { type: "boolean" },
      },
    });
    if (values.help === true) {
      console.log(usage);
      return 0;
    }
    const chosen = values.situation === undefined ? names : names.filter((name) => name === values.situation);
    const [nodes, seed] = [Number(values.nodes), Number(values.seed)];
    if (chosen.length === 0) throw new Error(`--situation is one of ${names.join(", ")}`);
    if (!Number.isInteger(nodes) || nodes < 10 || nodes > 15_000)
      throw new Error("--nodes is a whole number from 10 to 15000");
    if (!Number.isInteger(seed) || seed < 0) throw new Error("--seed is a whole number from 0");
    return { nodes, seed, chosen, svg: values.svg, json: values.json };
  } catch (error) {
    console.error(`simulate:fleet: ${(error as Error).message}\n\n${usage}`);
    return 64;
  }
}

/** As many at once as there are processors and memory for. */
async function simulateAll({ nodes, seed, chosen }: Flags): Promise<[SituationName, Outcome][]> {
  const waiting = [...chosen];
  const outcomes = new Map<SituationName, Outcome>();
  const oneMb = processMb + nodes * nodeMb;
  const processes = Math.max(1, Math.min(availableParallelism(), Math.floor(freemem() / 2 ** 20 / oneMb)));

  async function work(): Promise<void> {
    for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
      outcomes.set(name, { situation: situations[name], ...(await simulateOne({ name, nodes, seed }, oneMb)) });
    }
  }

  await Promise.all(Array.from({ length: processes }, work));
  return chosen.flatMap((name) => {
    const outcome = outcomes.get(name);
    return outcome === undefined ? [] : [[name, outcome] as [SituationName, Outcome]];
  });
}

function simulateOne(job: Job, mostMb: number): Promise<Omit<Outcome, "situation">> {
  const { endsAtSecond } = situations[job.name];
  progress(`${job.name}: ${job.nodes} nodes for ${endsAtSecond} s`);
  return new Promise((resolve, reject) => {
    const child = fork(new URL("run-situation.ts", import.meta.url), [JSON.stringify(job)], {
      execArgv: [`--max-old-space-size=${Math.ceil(2 * mostMb)}`, "--max-semi-space-size=32"],
    });
    // The process that is interrupted takes its own with it.
    process.once("exit", () => child.kill());
    child.on("error", reject);
    child.on("exit", (code) => reject(new Error(`${job.name} ended with code ${code} before it was done`)));
    child.on("message", (message: Message) => {
      if ("outcome" in message) resolve(message.outcome);
      else if (message.second % 30 === 0) progress(`${job.name}: ${message.second} of ${endsAtSecond} s`);
    });
  });
}

function progress(text: string): void {
  console.error(`simulate:fleet: ${text}`);
}
