/*
 * What pods lose while kube-dns is in trouble: through nodens in its two modes, beside CoreDNS with NodeLocal DNSCache's settings. Needs
 * root, and Go unless CoreDNS was built before: each run has a node, pods and kube-dns in network namespaces of its own.
 *
 *     npm run bench:faults -- [--fault FAULT]… [--way coredns|link-local|intercept]… [--rounds 1] [--svg FILE] [--json FILE]
 *
 * CoreDNS is built once, in the folder that NODENS_COREDNS_FOLDER names. Exit code 1 says that nodens was over a budget.
 */
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { buildCoredns, corednsVersion } from "../../test/support/node/coredns-on-node.ts";
import {
  type Fault,
  type FaultBudget,
  type FaultOutcome,
  faults,
  type FaultWay,
  faultWays,
  lateAfterMs,
  overBudget,
  runFault,
} from "../../test/support/node/fault-runs.ts";
import { compileClient } from "../../test/support/program/compile-client.ts";
import { missingRequirements } from "../../test/support/program/requirements.ts";
import { type Bar, drawBars, drawSvg } from "./draw-bars.ts";

const tools = ["root", "ip", "nft", "iptables-restore", "conntrack", "curl", "gcc"];

const titles: Readonly<Record<FaultWay, string>> = {
  coredns: `CoreDNS ${corednsVersion}, force_tcp`,
  "link-local": "nodens, link-local",
  intercept: "nodens, intercept",
};

const lostTitle = "Lookups lost of 1,000 in the ten seconds of a fault";

/** All rounds of one fault in one way. */
interface Result {
  readonly fault: Fault;
  readonly way: FaultWay;
  readonly rounds: readonly FaultOutcome[];
}

const { values } = parseArgs({
  options: {
    fault: { type: "string", multiple: true, default: [] },
    way: { type: "string", multiple: true, default: [] },
    rounds: { type: "string", default: "1" },
    svg: { type: "string" },
    json: { type: "string" },
  },
});

// The end of the process removes what the bed has made.
process.once("SIGINT", () => process.exit(130));
process.once("SIGTERM", () => process.exit(143));
process.exitCode = await main();

async function main(): Promise<number> {
  const chosenFaults = choose(Object.keys(faults) as Fault[], values.fault);
  const chosenWays = choose(faultWays, values.way);
  const rounds = Number(values.rounds);
  if (chosenFaults === undefined || chosenWays === undefined || !Number.isInteger(rounds) || rounds < 1) {
    console.error(
      `bench:faults: --fault is one of ${Object.keys(faults).join(", ")}; --way of ${faultWays.join(", ")}`,
    );
    return 64;
  }
  const missing = missingRequirements(tools);
  if (missing.length > 0) {
    console.error(`bench:faults needs ${missing.join(", ")}`);
    return 1;
  }
  const results = await measureAll(chosenFaults, chosenWays, rounds);
  print(results);
  if (values.svg !== undefined) writeFileSync(values.svg, drawSvg(lostTitle, barsOf(results)));
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(results, undefined, 2)}\n`);
  return results.some((result) => problemsOf(result).length > 0) ? 1 : 0;
}

/** The wanted ones, all when none is named; undefined when one is not known. */
function choose<Name extends string>(known: readonly Name[], wanted: readonly string[]): readonly Name[] | undefined {
  if (!wanted.every((name) => (known as readonly string[]).includes(name))) return undefined;
  return known.filter((name) => wanted.length === 0 || wanted.includes(name));
}

async function measureAll(
  chosenFaults: readonly Fault[],
  chosenWays: readonly FaultWay[],
  rounds: number,
): Promise<Result[]> {
  const coredns = chosenWays.includes("coredns") ? await findCoredns() : undefined;
  const ways = chosenWays.filter((way) => way !== "coredns" || coredns !== undefined);
  const client = await compileClient("steady-lookups", "gcc");
  try {
    const results: Result[] = [];
    for (const fault of chosenFaults) {
      for (const way of ways) {
        const outcomes: FaultOutcome[] = [];
        for (let round = 0; round < rounds; round += 1) {
          console.error(`bench:faults: ${faults[fault].title}, ${titles[way]}`);
          outcomes.push(await runFault(way, fault, { client: client.path, coredns: coredns ?? "" }));
        }
        results.push({ fault, way, rounds: outcomes });
      }
    }
    return results;
  } finally {
    client.remove();
  }
}

/** The program, or undefined with a word about it: nodens can be measured alone. */
async function findCoredns(): Promise<string | undefined> {
  try {
    return await buildCoredns();
  } catch (error) {
    console.error(`bench:faults: without CoreDNS, which could not be built: ${(error as Error).message}`);
    return undefined;
  }
}

function print(results: readonly Result[]): void {
  const head = ["fault", "way", "lookups", "lost", "refused", "after 1 s", "p50 ms", "p99 ms", "entries", "new", ""];
  const lines = results.map((result) => [
    faults[result.fault].title,
    titles[result.way],
    ...numbersOf(result),
    problemsOf(result).length > 0 ? "over" : "",
  ]);
  const widths = head.map((_, column) => Math.max(...[head, ...lines].map((line) => line[column]?.length ?? 0)));
  for (const line of [head, ...lines]) {
    const cells = line.map((cell, column) =>
      column < 2 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
    );
    console.log(cells.join("  ").trimEnd());
  }
  console.log(`
lost       SERVFAIL and other refusals, no reply at all, and replies later than ${lateAfterMs / 1000} s
after 1 s  those of them that were asked a second or more after the fault began
entries    what the node's connection tracking holds about DNS at the end; new: what came during the fault
With several rounds: all lookups together, the highest of all times and entries.
`);
  for (const result of results) {
    const problems = problemsOf(result);
    if (problems.length > 0)
      console.log(`${faults[result.fault].title}, ${titles[result.way]}: ${problems.join("; ")}`);
  }
  console.log(`\n${lostTitle}\n\n${drawBars(barsOf(results))}`);
}

function numbersOf({ rounds }: Result): string[] {
  const sum = (pick: (outcome: FaultOutcome) => number) => rounds.reduce((total, each) => total + pick(each), 0);
  const highest = (pick: (outcome: FaultOutcome) => number) => Math.max(...rounds.map(pick));
  return [
    sum(({ lookups }) => lookups),
    sum(({ lost }) => lost),
    sum(({ refused }) => refused),
    sum(({ lostAfterFirstSecond }) => lostAfterFirstSecond),
    highest(({ p50Ms }) => p50Ms),
    highest(({ p99Ms }) => p99Ms),
    highest(({ entries }) => entries),
    highest(({ newEntries }) => newEntries),
  ].map((value) => value.toFixed(0));
}

/** What nodens is over its budget with, in any round. CoreDNS has none. */
function problemsOf({ fault, way, rounds }: Result): string[] {
  return way === "coredns" ? [] : rounds.flatMap((outcome) => overBudget(fault, outcome));
}

/** Only faults that cost lookups: where entries are what matters, nothing is gained by counting the lost. */
function barsOf(results: readonly Result[]): Bar[] {
  return results
    .filter(({ fault }) => (faults[fault] as FaultBudget).mostLost !== undefined && fault !== "none")
    .map(({ fault, way, rounds }) => {
      const lookups = rounds.reduce((total, each) => total + each.lookups, 0);
      const lost = rounds.reduce((total, each) => total + each.lost, 0);
      const name = way === "coredns" ? "CoreDNS" : titles[way];
      return { label: `${name}: ${faults[fault].title}`, value: Math.round((1000 * lost) / lookups) };
    });
}
