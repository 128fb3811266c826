/*
 * In which form the image should carry the program, and with which of V8's flags: its sources, the JavaScript that tsc makes of
 * them, or one bundle, each with and without V8's compile cache; with `--flags`, the bundle under each set of flags instead.
 * Forms take turns, round after round, in one run.
 *
 * Start-up is the time from exec until `/readyz` says ok. Memory is resident memory five seconds later, and after questions with
 * dnsperf that fill both stores of the cache to their budgets: what V8 does not collect in time counts like what is in use.
 * CPU per query is that of these questions (seven in ten go upstream), then that of hits alone.
 *
 *     bench/whole/image-forms.ts [--rounds 5] [--flags="--max-semi-space-size=2 …"]…
 */
import { execFileSync, spawn } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { findFreePort } from "../../test/support/servers/free-port.ts";
import { type RealServer, startUnbound } from "../../test/support/servers/real-servers.ts";
import { missingRequirements } from "../../test/support/program/requirements.ts";
import { projectFolder } from "../../test/support/program/run-nodens.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    flags: { type: "string", multiple: true, default: [] },
  },
});

interface Form {
  readonly name: string;
  readonly entry: string;
  readonly sizeBytes: number;
  readonly flags: readonly string[];
  readonly usesCompileCache: boolean;
}

const columns = {
  startMs: "start ms",
  startCpuMs: "of it CPU",
  idleMib: "idle MiB",
  fullMib: "full MiB",
  privateMib: "private MiB",
  fillMicros: "fill us/q",
  hitMicros: "hit us/q",
} as const;

type Measurement = Readonly<Record<keyof typeof columns, number>>;

const queryCount = 200_000;
const hitSeconds = 3;
const mebibyte = 1024 ** 2;
const answersFrom = ["fill.test", "absent.test"] as const;

process.exitCode = await main();

async function main(): Promise<number> {
  const missing = missingRequirements(["dnsperf", "unbound", "npm"]);
  if (missing.length > 0) {
    console.error(`bench:image needs ${missing.join(", ")}`);
    return 1;
  }
  const folder = mkdtempSync(join(tmpdir(), "nodens-forms-"));
  const [answered] = answersFrom;
  const upstream = await startUnbound({}, [
    `local-zone: "${answered}." redirect`,
    `local-data: "${answered}. 3600 IN A 192.0.2.1"`,
  ]);
  try {
    const forms = values.flags.length > 0 ? makeFlagForms(folder) : makeForms(folder);
    writeQueries(folder);
    const measured = new Map<Form, Measurement[]>(forms.map((form) => [form, []]));
    // One more, which fills the compile caches and is not counted.
    for (let round = 0; round <= Number(values.rounds); round += 1) {
      for (const form of forms) {
        console.error(`bench:image: round ${round}, ${form.name}`);
        const measurement = await measure(form, folder, upstream);
        if (round > 0) measured.get(form)?.push(measurement);
      }
    }
    print(measured);
    return 0;
  } finally {
    await upstream.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

function makeForms(folder: string): Form[] {
  const dependencies = dependencySizeBytes();
  const sources = join(folder, "sources");
  for (const path of ["src", "package.json"])
    cpSync(join(projectFolder, path), join(sources, path), { recursive: true });
  const emitted = makeEmitted(folder);
  for (const form of [emitted, sources]) symlinkSync(join(projectFolder, "node_modules"), join(form, "node_modules"));
  const inFolder = (name: string, path: string) => ({
    name,
    entry: join(path, "src", "nodens.mjs"),
    sizeBytes: sizeOf(join(path, "src")) + dependencies,
    flags: [],
  });
  return [inFolder("sources", sources), inFolder("emitted", emitted), makeBundle(folder)].flatMap((form) => [
    { ...form, usesCompileCache: false },
    { ...form, name: `${form.name}, compile cache`, usesCompileCache: true },
  ]);
}

function makeFlagForms(folder: string): Form[] {
  const bundle = makeBundle(folder);
  return ["", ...values.flags].map((text) => ({
    ...bundle,
    name: text === "" ? "no flags" : text.replaceAll("--", ""),
    flags: text.split(" ").filter((flag) => flag !== ""),
    usesCompileCache: true,
  }));
}

function makeBundle(folder: string): Omit<Form, "usesCompileCache"> {
  const bundle = join(folder, "bundle");
  execFileSync(process.execPath, [join(projectFolder, "scripts", "bundle.ts"), bundle], { stdio: "ignore" });
  return { name: "bundle", entry: join(bundle, "nodens.mjs"), sizeBytes: sizeOf(bundle), flags: [] };
}

function makeEmitted(folder: string): string {
  const emitted = join(folder, "emitted");
  const tsc = join(projectFolder, "node_modules", "typescript", "bin", "tsc");
  execFileSync(process.execPath, [tsc, "--noEmit", "false", "--outDir", emitted], { cwd: projectFolder });
  for (const path of ["package.json", "src/cluster-dns/zone.yaml"])
    cpSync(join(projectFolder, path), join(emitted, path));
  const entry = readFileSync(join(projectFolder, "src", "nodens.mjs"), "utf8");
  writeFileSync(join(emitted, "src", "nodens.mjs"), entry.replace("./main.ts", "./main.js"));
  return emitted;
}

function dependencySizeBytes(): number {
  const listed = execFileSync("npm", ["ls", "--omit=dev", "--all", "--parseable"], {
    cwd: projectFolder,
    encoding: "utf8",
  });
  const [, ...paths] = listed.trim().split("\n");
  return paths.reduce((sum, path) => sum + sizeOf(path), 0);
}

function sizeOf(path: string): number {
  return Number(execFileSync("du", ["-sb", path], { encoding: "utf8" }).split("\t")[0]);
}

/** Of ten questions five are for names of their own that exist, two for such that do not, three for the same name. */
function writeQueries(folder: string): void {
  const [answered, absent] = answersFrom;
  const lines = Array.from({ length: queryCount }, (_, index) => {
    if (index % 10 < 5) return `service-${index}.team-${index % 97}.${answered} A`;
    return index % 10 < 7 ? `name-${index}.${absent} A` : `web.${answered} A`;
  });
  writeFileSync(join(folder, "fill.txt"), `${lines.join("\n")}\n`);
  writeFileSync(join(folder, "hit.txt"), `web.${answered} A\n`);
}

async function measure(form: Form, folder: string, upstream: RealServer): Promise<Measurement> {
  const [port, adminPort] = [await findFreePort(), await findFreePort()];
  const settings = join(folder, "nodens.yaml");
  const admin = { address: `127.0.0.1:${adminPort}` };
  const listen = { addresses: [`127.0.0.1:${port}`] };
  const quiet = { search: { resolvConf: "" }, shutdown: { drainMs: 0 } };
  writeFileSync(settings, JSON.stringify({ listen, admin, upstream: { servers: [upstream.address] }, ...quiet }));
  const cache = join(folder, "cache", form.name);
  mkdirSync(cache, { recursive: true });
  const env = { ...process.env, ...(form.usesCompileCache ? { NODE_COMPILE_CACHE: cache } : {}) };
  const startedAtMs = performance.now();
  const args = [...form.flags, form.entry, "serve", "--config", settings];
  const child = spawn(process.execPath, args, { env, stdio: "ignore" });
  const pid = child.pid ?? 0;
  try {
    while (!(await isReady(adminPort))) {
      if (child.exitCode !== null) throw new Error(`${form.name} ended with ${child.exitCode}`);
      await delay(2);
    }
    const [startMs, startCpuMs] = [performance.now() - startedAtMs, cpuMsOf(pid)];
    await delay(5000);
    const idleMib = memoryOf(pid, "Rss") / mebibyte;
    const beforeFillMs = cpuMsOf(pid);
    ask(port, join(folder, "fill.txt"), ["-n", "1"]);
    const fillMicros = ((cpuMsOf(pid) - beforeFillMs) * 1000) / queryCount;
    const [fullMib, privateMib] = [memoryOf(pid, "Rss") / mebibyte, memoryOf(pid, "Anonymous") / mebibyte];
    const beforeHitsMs = cpuMsOf(pid);
    const hits = ask(port, join(folder, "hit.txt"), ["-l", `${hitSeconds}`]);
    const hitMicros = ((cpuMsOf(pid) - beforeHitsMs) * 1000) / hits;
    return { startMs, startCpuMs, idleMib, fullMib, privateMib, fillMicros, hitMicros };
  } finally {
    const ended = child.exitCode === null ? new Promise((resolve) => child.once("exit", resolve)) : undefined;
    child.kill("SIGTERM");
    await ended;
  }
}

async function isReady(adminPort: number): Promise<boolean> {
  return fetch(`http://127.0.0.1:${adminPort}/readyz`).then(
    ({ ok }) => ok,
    () => false,
  );
}

/** Returns how many questions were answered. */
function ask(port: number, file: string, limit: readonly string[]): number {
  const args = ["-s", "127.0.0.1", "-p", `${port}`, "-d", file, "-q", "50", ...limit];
  const report = execFileSync("dnsperf", args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  return Number(/Queries completed:\s+(\d+)/.exec(report)?.[1]);
}

function memoryOf(pid: number, field: string): number {
  return (
    Number(new RegExp(`^${field}:\\s+(\\d+)`, "m").exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))?.[1]) * 1024
  );
}

/** User and system time, in Linux's steps of 10 ms. */
function cpuMsOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

function print(measured: ReadonlyMap<Form, readonly Measurement[]>): void {
  const width = Math.max(...[...measured.keys()].map(({ name }) => name.length));
  const keys = Object.keys(columns) as (keyof typeof columns)[];
  const row = (name: string, cells: readonly string[]) =>
    console.log([name.padEnd(width), ...cells.map((cell) => cell.padStart(11))].join(" "));
  row("form", ["size MiB", ...keys.map((key) => columns[key])]);
  for (const [form, rounds] of measured) {
    const middle = (key: keyof typeof columns) => {
      const sorted = rounds.map((round) => round[key]).toSorted((a, b) => a - b);
      return sorted[sorted.length >> 1] ?? Number.NaN;
    };
    row(form.name, [
      (form.sizeBytes / mebibyte).toFixed(1),
      ...keys.map((key) => middle(key).toFixed(key.endsWith("Micros") ? 1 : 0)),
    ]);
  }
  console.log(`\nThe middle of ${values.rounds} rounds; Node.js ${process.version}.`);
}
