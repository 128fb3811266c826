/*
 * How much memory nodens has in the form of the image, and how soon it answers, beside Node.js alone and other servers. All take turns,
 * round after round, in one run; the figures are the middle of the rounds.
 *
 *   ready, first   milliseconds from exec until `/readyz` says ok, and until the first reply to a question over UDP
 *   idle           resident memory and, of it, what is the process's own, five seconds later
 *   hits           the same after 1,000 names of two types and a million questions for them
 *   full           the same after questions that fill both stores of the cache to their default budgets
 *   a name         bytes of resident memory for each of a number of names, in a cache that has room for them (with --names)
 *
 *     bench/whole/memory.ts [--rounds 3] [--names 1000000] [--base CHECKOUT] [--only NAME]…
 *
 * Or whether memory creeps while nodens alone is asked names that are new, with full caches (`memory-creep.ts`):
 *
 *     bench/whole/memory.ts --minutes 60 [--names-per-second 1000] [--file FILE]
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { buildCoredns } from "../../test/support/node/coredns-on-node.ts";
import { findCommand, missingRequirements } from "../../test/support/program/requirements.ts";
import { makeShippedForm } from "../../test/support/program/shipped-form.ts";
import { startUnbound } from "../../test/support/servers/real-servers.ts";
import { measureCreep } from "./memory-creep.ts";
import * as lines from "./memory-servers.ts";
import { memoryOf, withProgram } from "./timed-start.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    names: { type: "string", default: "0" },
    base: { type: "string" },
    only: { type: "string", multiple: true, default: [] },
    minutes: { type: "string", default: "0" },
    "names-per-second": { type: "string", default: "1000" },
    file: { type: "string" },
  },
});

const columns = [
  "ready ms",
  "first ms",
  "idle MiB",
  "own",
  "hits MiB",
  "own, hits",
  "full MiB",
  "own, full",
  "a name",
] as const;
type Measurement = Partial<Record<(typeof columns)[number], number>>;
type MakeLine = (place: lines.Place) => lines.Line;

const zone = "fill.test";
const nameCount = Number(values.names);
const fillCount = 400_000;
/** More than any of them takes, and as much for a million as nodens allows. */
const roomPerNameBytes = 1024;
const mebibyte = 1024 ** 2;

process.exitCode = await main();

async function main(): Promise<number> {
  const missing = missingRequirements(["dnsperf", "unbound"]);
  if (missing.length > 0) {
    console.error(`bench:memory needs ${missing.join(", ")}`);
    return 1;
  }
  const folder = mkdtempSync(join(tmpdir(), "nodens-memory-"));
  const upstream = await startUnbound({}, [
    `local-zone: "${zone}." redirect`,
    `local-data: "${zone}. 3600 IN A 192.0.2.1"`,
    `local-data: "${zone}. 3600 IN AAAA 2001:db8::1"`,
  ]);
  try {
    const programs = await makePrograms(folder);
    if (Number(values.minutes) > 0) {
      await measureCreepOf(programs, folder, upstream.port);
      return 0;
    }
    writeQuestions(folder);
    const measured = new Map<string, Measurement[]>([...programs.keys()].map((name) => [name, []]));
    for (let round = 1; round <= Number(values.rounds); round += 1) {
      for (const [name, line] of programs) {
        console.error(`bench:memory: round ${round}, ${name}`);
        measured.get(name)?.push(await measure(line, folder, upstream.port));
      }
    }
    print(measured);
    return 0;
  } finally {
    await upstream.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The programs that are here, by name. */
async function makePrograms(folder: string): Promise<Map<string, MakeLine>> {
  const form = await makeShippedForm(join(folder, "form"));
  const all = new Map<string, MakeLine>([
    ["Node.js alone", lines.bareLine],
    ["nodens", (place) => lines.nodensLine(form, place)],
  ]);
  if (values.base !== undefined) {
    const base = await makeShippedForm(join(folder, "base"), values.base);
    all.set("nodens, base", (place) => lines.nodensLine(base, place));
  }
  if (findCommand("unbound") !== undefined) all.set("unbound", lines.unboundLine);
  if (findCommand("dnsmasq") !== undefined) all.set("dnsmasq", lines.dnsmasqLine);
  const coredns = await buildCoredns().catch(() => undefined);
  if (coredns !== undefined) all.set("CoreDNS", (place) => lines.corednsLine(coredns, place));
  return new Map([...all].filter(([name]) => values.only.length === 0 || values.only.includes(name)));
}

function writeQuestions(folder: string): void {
  const write = (name: string, count: number, line: (index: number) => string) =>
    writeFileSync(join(folder, name), `${Array.from({ length: count }, (_, index) => line(index)).join("\n")}\n`);
  write("hits.txt", 2000, (index) => `web-${index >> 1}.shop.${zone} ${index % 2 === 0 ? "A" : "AAAA"}`);
  write("fill.txt", fillCount, newQuestion);
  if (nameCount > 0) write("names.txt", nameCount, (index) => `service-${index}.team-${index % 97}.${zone} A`);
}

/** Of ten names seven exist. */
function newQuestion(index: number): string {
  return index % 10 < 7 ? `service-${index}.team-${index % 97}.${zone} A` : `name-${index}.absent.test A`;
}

async function measureCreepOf(programs: ReadonlyMap<string, MakeLine>, folder: string, upstreamPort: number) {
  const line = programs.get("nodens");
  if (line === undefined) throw new Error("only nodens is looked at for so long");
  const { file } = values;
  await withProgram(line, { folder, upstreamPort, cacheMib: undefined }, async ({ pid, port, adminPort }) => {
    const [minutes, namesPerSecond] = [Number(values.minutes), Number(values["names-per-second"])];
    console.error(`bench:memory: ${minutes} minutes, process ${pid}`);
    await measureCreep({ pid, port, adminPort, minutes, namesPerSecond, question: newQuestion, file, memoryOf });
    return {};
  });
}

async function measure(makeLine: MakeLine, folder: string, upstreamPort: number): Promise<Measurement> {
  const ordinary = await measureOrdinary(makeLine, folder, upstreamPort);
  if (nameCount === 0 || makeLine === lines.bareLine) return ordinary;
  const cacheMib = Math.ceil((nameCount * roomPerNameBytes) / mebibyte);
  return withProgram(makeLine, { folder, upstreamPort, cacheMib }, async ({ pid, port }) => {
    await delay(2000);
    const before = memoryOf(pid, "Rss");
    ask(port, join(folder, "names.txt"), 1);
    return { ...ordinary, "a name": (memoryOf(pid, "Rss") - before) / nameCount };
  });
}

function measureOrdinary(makeLine: MakeLine, folder: string, upstreamPort: number): Promise<Measurement> {
  return withProgram(
    makeLine,
    { folder, upstreamPort, cacheMib: undefined },
    async ({ pid, port, readyMs, firstMs }) => {
      await delay(5000);
      const idle = { "idle MiB": memoryOf(pid, "Rss") / mebibyte, own: memoryOf(pid, "Anonymous") / mebibyte };
      if (makeLine === lines.bareLine) return idle;
      const start = { "first ms": firstMs, ...(readyMs === undefined ? {} : { "ready ms": readyMs }) };
      ask(port, join(folder, "hits.txt"), 500);
      const hits = { "hits MiB": memoryOf(pid, "Rss") / mebibyte, "own, hits": memoryOf(pid, "Anonymous") / mebibyte };
      ask(port, join(folder, "fill.txt"), 1);
      const full = { "full MiB": memoryOf(pid, "Rss") / mebibyte, "own, full": memoryOf(pid, "Anonymous") / mebibyte };
      return { ...start, ...idle, ...hits, ...full };
    },
  );
}

function ask(port: number, file: string, times: number): void {
  const args = ["-s", "127.0.0.1", "-p", `${port}`, "-d", file, "-q", "50", "-n", `${times}`, "-l", "120"];
  execFileSync("dnsperf", args, { stdio: "ignore" });
}

function print(measured: ReadonlyMap<string, readonly Measurement[]>): void {
  const row = (name: string, cells: readonly string[]) =>
    console.log([name.padEnd(14), ...cells.map((cell) => cell.padStart(9))].join(" "));
  row("", columns);
  for (const [name, rounds] of measured) {
    const cells = columns.map((column) => {
      const sorted = rounds.flatMap((round) => round[column] ?? []).toSorted((a, b) => a - b);
      return sorted[sorted.length >> 1]?.toFixed(0) ?? "-";
    });
    row(name, cells);
  }
  console.log(`\nThe middle of ${values.rounds} rounds; Node.js ${process.version}.`);
}
