/*
 * In which form the image should carry the program: its sources, the JavaScript that tsc makes of them, or one bundle, each with
 * and without V8's compile cache. Start-up is the time from exec until `/readyz` says ok, in front of the embedded cluster DNS;
 * memory is that of the process when it is ready and after `--queries` questions with dnsperf, of which half are different ones.
 * Forms take turns, round after round, in one run.
 *
 *     bench/image-forms.ts [--rounds 5] [--queries 200000] [--flags "--max-old-space-size=128 …"]
 */
import { execFileSync, spawn } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { findFreePort } from "../test/support/free-port.ts";
import { missingRequirements } from "../test/support/requirements.ts";
import { projectFolder } from "../test/support/run-nodens.ts";
import { until } from "../test/support/scripted-upstream.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    queries: { type: "string", default: "200000" },
    flags: { type: "string", default: "" },
  },
});

interface Form {
  readonly name: string;
  readonly entry: string;
  readonly sizeBytes: number;
  readonly usesCompileCache: boolean;
}

interface Measurement {
  readonly startMs: number;
  readonly readyBytes: number;
  readonly loadedBytes: number;
}

process.exitCode = await main();

async function main(): Promise<number> {
  const missing = missingRequirements(["dnsperf", "curl"]);
  if (missing.length > 0) {
    console.error(`bench:image needs ${missing.join(", ")}`);
    return 1;
  }
  const folder = mkdtempSync(join(tmpdir(), "nodens-forms-"));
  try {
    const forms = makeForms(folder);
    const queries = writeQueries(folder);
    const measured = new Map<Form, Measurement[]>(forms.map((form) => [form, []]));
    // One more, which fills the caches and is not counted.
    for (let round = 0; round <= Number(values.rounds); round += 1) {
      for (const form of forms) {
        console.error(`bench:image: round ${round}, ${form.name}`);
        const measurement = await measure(form, folder, queries);
        if (round > 0) measured.get(form)?.push(measurement);
      }
    }
    print(measured);
    return 0;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function makeForms(folder: string): Form[] {
  const node = process.execPath;
  execFileSync(node, [join(projectFolder, "scripts", "bundle.ts"), join(folder, "bundle")], { stdio: "ignore" });
  const emitted = join(folder, "emitted");
  const tsc = join(projectFolder, "node_modules", "typescript", "bin", "tsc");
  execFileSync(node, [tsc, "--noEmit", "false", "--outDir", emitted], { cwd: projectFolder });
  for (const file of ["package.json", "src/nodens.mjs", "src/cluster-dns/zone.yaml"]) {
    cpSync(join(projectFolder, file), join(emitted, file));
  }
  writeFileSync(
    join(emitted, "src", "nodens.mjs"),
    readFileSync(join(emitted, "src", "nodens.mjs"), "utf8").replace("./main.ts", "./main.js"),
  );
  const sources = join(folder, "sources");
  for (const path of ["src", "package.json"])
    cpSync(join(projectFolder, path), join(sources, path), { recursive: true });
  for (const form of [emitted, sources]) symlinkSync(join(projectFolder, "node_modules"), join(form, "node_modules"));
  const dependencies = dependencySizeBytes();
  const plain = [
    {
      name: "sources",
      entry: join(sources, "src", "nodens.mjs"),
      sizeBytes: sizeOf(join(sources, "src")) + dependencies,
    },
    {
      name: "emitted",
      entry: join(emitted, "src", "nodens.mjs"),
      sizeBytes: sizeOf(join(emitted, "src")) + dependencies,
    },
    { name: "bundle", entry: join(folder, "bundle", "nodens.mjs"), sizeBytes: sizeOf(join(folder, "bundle")) },
  ];
  return plain.flatMap((form) => [
    { ...form, usesCompileCache: false },
    { ...form, name: `${form.name}, compile cache`, usesCompileCache: true },
  ]);
}

function dependencySizeBytes(): number {
  const listed = execFileSync("npm", ["ls", "--omit=dev", "--all", "--parseable"], {
    cwd: projectFolder,
    encoding: "utf8",
  });
  return listed
    .trim()
    .split("\n")
    .slice(1)
    .reduce((sum, path) => sum + sizeOf(path), 0);
}

function sizeOf(path: string): number {
  return Number(execFileSync("du", ["-sb", path], { encoding: "utf8" }).split("\t")[0]);
}

/** Every second question is for a name of its own, so that the stores fill. */
function writeQueries(folder: string): string {
  const path = join(folder, "queries.txt");
  const lines = Array.from({ length: 20_000 }, (_, index) =>
    index % 2 === 0 ? "kubernetes.default.svc.cluster.local A" : `name${index}.example.com A`,
  );
  writeFileSync(path, `${lines.join("\n")}\n`);
  return path;
}

async function measure(form: Form, folder: string, queries: string): Promise<Measurement> {
  const [port, adminPort] = [await findFreePort(), await findFreePort()];
  const settings = join(folder, "nodens.yaml");
  const listen = { addresses: [`127.0.0.1:${port}`] };
  const upstream = { embeddedOutside: "built-in" };
  writeFileSync(
    settings,
    JSON.stringify({
      listen,
      upstream,
      admin: { address: `127.0.0.1:${adminPort}` },
      search: { resolvConf: "" },
      shutdown: { drainMs: 0 },
    }),
  );
  const env = {
    ...process.env,
    ...(form.usesCompileCache ? { NODE_COMPILE_CACHE: join(folder, "cache", form.name) } : {}),
  };
  const flags = values.flags.split(" ").filter((flag) => flag !== "");
  const startedAtMs = performance.now();
  const child = spawn(process.execPath, [...flags, form.entry, "serve", "--config", settings], {
    env,
    stdio: "ignore",
  });
  try {
    await until("it is ready", async () => {
      const response = await fetch(`http://127.0.0.1:${adminPort}/readyz`).catch(() => undefined);
      return response?.ok === true;
    });
    const startMs = performance.now() - startedAtMs;
    await new Promise((resolve) => setTimeout(resolve, 2000));
    const readyBytes = residentOf(child.pid);
    const repeats = Math.ceil(Number(values.queries) / 20_000);
    execFileSync("dnsperf", ["-s", "127.0.0.1", "-p", `${port}`, "-d", queries, "-n", `${repeats}`, "-q", "50"], {
      stdio: "ignore",
    });
    return { startMs, readyBytes, loadedBytes: residentOf(child.pid) };
  } finally {
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGTERM");
    await ended;
  }
}

function residentOf(pid: number | undefined): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) * 1024;
}

function print(measured: ReadonlyMap<Form, readonly Measurement[]>): void {
  console.log(
    "form".padEnd(24),
    "size MiB".padStart(9),
    "start ms".padStart(9),
    "ready MiB".padStart(10),
    "loaded MiB".padStart(11),
  );
  for (const [form, rounds] of measured) {
    const middle = (value: (one: Measurement) => number) =>
      rounds.map(value).toSorted((a, b) => a - b)[rounds.length >> 1] ?? 0;
    const inMib = (sizeBytes: number) => (sizeBytes / 1024 ** 2).toFixed(1);
    console.log(
      form.name.padEnd(24),
      inMib(form.sizeBytes).padStart(9),
      middle(({ startMs }) => startMs)
        .toFixed(0)
        .padStart(9),
      inMib(middle(({ readyBytes }) => readyBytes)).padStart(10),
      inMib(middle(({ loadedBytes }) => loadedBytes)).padStart(11),
    );
  }
  console.log(`\nThe middle of ${values.rounds} rounds; Node.js ${process.version}; flags: ${values.flags || "none"}`);
}
